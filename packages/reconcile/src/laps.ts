import type { Clock } from '@bough/domain/clock';

/** How long each part of something took, in the order in which they ended; for a line in the log. */
export interface Laps {
  /** What was done since the lap before. */
  end(name: string): void;
  /** `{ placeMs: 4, servicesMs: 310 }` and the sum. */
  taken(): Readonly<Record<string, number>>;
}

export function createLaps(clock: Clock, startedAt: Date = clock.now()): Laps {
  const laps: Record<string, number> = {};
  let since = startedAt.getTime();
  return {
    end(name) {
      const now = clock.now().getTime();
      laps[`${name}Ms`] = (laps[`${name}Ms`] ?? 0) + now - since;
      since = now;
    },
    taken: () => ({ ...laps, totalMs: since - startedAt.getTime() }),
  };
}
