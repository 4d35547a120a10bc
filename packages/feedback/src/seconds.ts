/** A duration as people read it. */
export function seconds(durationMs: number): string {
  return durationMs < 1000
    ? `${Math.max(0, Math.round(durationMs))} ms`
    : `${(durationMs / 1000).toFixed(1)} s`;
}
