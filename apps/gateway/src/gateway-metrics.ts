import type { Cause } from './cause.ts';

/**
 * How a visit ended. `proxied`: the app answered. `cut`: the app hung up in the middle of its answer. `abandoned`: the
 * visitor left. `redirected` and `health` are answers of the gateway that are no errors; the rest are its error pages.
 */
export type VisitOutcome = 'proxied' | 'upgraded' | 'redirected' | 'health' | 'cut' | 'abandoned' | Cause;

export interface GatewayMetrics {
  visit(outcome: VisitOutcome, durationMs: number): void;
  /** Called with the number of requests held right now whenever it changes. */
  held(count: number): void;
  /** A connection over the bound was dropped by the listener. */
  dropped(): void;
}

export const noMetrics: GatewayMetrics = { visit() {}, held() {}, dropped() {} };
