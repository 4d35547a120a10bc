import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RequestTarget } from './request-target.ts';

/** One request on its way through the gateway. */
export interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: RequestTarget;
  /** Set when the visitor wants to leave HTTP for a WebSocket. */
  readonly upgrade: { readonly socket: Duplex; readonly head: Buffer } | null;
  /** The visitor waits for `100 Continue` before sending the body. */
  readonly expectsContinue: boolean;
  /** Fires when the visitor has gone. */
  readonly gone: AbortSignal;
}

/**
 * `failed` is only answered while nothing has been sent to the visitor. `replayable`: the app cannot have seen the
 * request, or may see it twice, and its body has not been touched.
 */
export type ForwardOutcome =
  | { readonly kind: 'proxied' | 'upgraded' | 'cut' | 'abandoned' }
  | {
      readonly kind: 'failed';
      readonly cause:
        | 'upstream-refused'
        | 'upstream-timeout'
        | 'upstream-reset'
        | 'upstream-not-http'
        | 'client-timeout';
      readonly replayable: boolean;
      readonly error: Error | null;
    };
