/** What a run came by. Of many histories, the sums are kept. */
export interface Coverage {
  met(name: string): void;
  crashed(name: string): void;
  reached(phase: string): void;
  did(event: string): void;
  readonly counts: CoverageCounts;
}

/** By name; crashes as they are, the others in histories. */
export interface CoverageCounts {
  readonly awaits: Map<string, number>;
  readonly crashes: Map<string, number>;
  readonly phases: Map<string, number>;
  readonly events: Map<string, number>;
}

export function emptyCounts(): CoverageCounts {
  return { awaits: new Map(), crashes: new Map(), phases: new Map(), events: new Map() };
}

export function createCoverage(): Coverage {
  const counts = emptyCounts();
  const add = (to: Map<string, number>, name: string) => to.set(name, (to.get(name) ?? 0) + 1);
  return {
    counts,
    met: (name) => void counts.awaits.set(name, 1),
    crashed: (name) => void add(counts.crashes, name),
    reached: (phase) => void counts.phases.set(phase, 1),
    did: (event) => void counts.events.set(event, 1),
  };
}

export function addCounts(sum: CoverageCounts, one: CoverageCounts): void {
  for (const kind of ['awaits', 'crashes', 'phases', 'events'] as const) {
    for (const [name, count] of one[kind]) sum[kind].set(name, (sum[kind].get(name) ?? 0) + count);
  }
}
