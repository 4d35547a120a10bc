/** Every bound of the gateway. Bodies have none in size: they are streamed, and an idle stream is cut. */
export interface GatewayLimits {
  /** Open connections of visitors, WebSockets included; more are dropped by the listener. */
  readonly connections: number;
  /** Request line and headers of one request. */
  readonly headerBytes: number;
  /** Time for a visitor to send the headers of a request. */
  readonly headersMs: number;
  /**
   * Requests held while a release is swapped or an environment wakes. The body of a held request is not read, so that each costs at most one
   * socket buffer (64 KiB here, the rest waits in the kernel and at the visitor).
   */
  readonly held: number;
  readonly heldPerEnvironment: number;
  readonly holdMs: number;
  /** A person who waits for an environment to wake sees a page that asks again, from then on. */
  readonly wakePageMs: number;
  /** Between two calls to wake the same environment, while visitors wait. */
  readonly wakeAgainMs: number;
  readonly connectMs: number;
  /** Time in which the app must send the first byte of its answer; an upload that moves does not count. */
  readonly upstreamMs: number;
  /** Time without a byte in either direction once the answer has begun. */
  readonly idleMs: number;
  readonly webSocketIdleMs: number;
  /** Pause before the one retry of a refused connection; ends early when the table changes. */
  readonly refusedRetryMs: number;
  /** Wrong passwords of one client address within a minute. */
  readonly passwordFailuresPerMinute: number;
  /** Time that `close` gives to requests that are under way. */
  readonly closeGraceMs: number;
}

export const defaultLimits: GatewayLimits = {
  connections: 10_000,
  headerBytes: 32 * 1024,
  headersMs: 30_000,
  held: 1_000,
  heldPerEnvironment: 200,
  holdMs: 30_000,
  wakePageMs: 8_000,
  wakeAgainMs: 2_000,
  connectMs: 5_000,
  upstreamMs: 60_000,
  idleMs: 10 * 60_000,
  webSocketIdleMs: 60 * 60_000,
  refusedRetryMs: 500,
  passwordFailuresPerMinute: 20,
  closeGraceMs: 10_000,
};
