import { BoughError } from '@bough/domain/bough-error';
import type { ForgeErrorCode } from './forge.ts';

/** A failure of the forge or of our access to it. `retryAfterMs` is what the forge asked us to wait, if it did. */
export class ForgeError extends BoughError {
  declare readonly code: ForgeErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(options: {
    code: ForgeErrorCode;
    message: string;
    hint?: string | undefined;
    tail?: readonly string[];
    retryable?: boolean;
    retryAfterMs?: number | undefined;
    cause?: unknown;
  }) {
    super(options);
    this.name = 'ForgeError';
    this.retryAfterMs = options.retryAfterMs;
  }
}
