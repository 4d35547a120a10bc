/**
 * A failure, as opposed to an expected outcome (which is a union such as `{ kind: 'declined', reason }`).
 *
 * `message` is one sentence for the user that says what is wrong and where; `hint` says what to do next. `code` is
 * kebab-case and stable: it is stored (`failure_code`), counted and documented. `cause` is for us and is never shown.
 */
export class BoughError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  /** The last lines of the failing step's output, if there is any. Already filtered for secrets. */
  readonly tail: readonly string[];
  /** False when trying again cannot help until somebody changes something (a wrong manifest, a failing hook). */
  readonly retryable: boolean;

  constructor(options: {
    code: string;
    message: string;
    hint?: string | undefined;
    tail?: readonly string[];
    retryable?: boolean;
    cause?: unknown;
  }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BoughError';
    this.code = options.code;
    this.hint = options.hint;
    this.tail = options.tail ?? [];
    this.retryable = options.retryable ?? false;
  }
}
