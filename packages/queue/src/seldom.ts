const quietMs = 60_000;

/**
 * Passes on the first of many equal complaints, then at most one a minute: a store that is away says so on every
 * connection and attempt.
 */
export function seldom(say: (error: Error, suppressed: number) => void): (error: Error) => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  let suppressed = 0;
  return (error) => {
    if (performance.now() - saidAt < quietMs) {
      suppressed += 1;
      return;
    }
    say(error, suppressed);
    [saidAt, suppressed] = [performance.now(), 0];
  };
}
