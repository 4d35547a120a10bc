const everyMs = 20;
const pointsMax = 100_000;

/** How much a server had written to its log of changes at a time, as a curve through what was seen of it. */
export interface WrittenBytes {
  note(at: number, bytes: number): void;
  /** Between two looks: in proportion. */
  at(at: number): number;
  total(): number;
}

export function createWrittenBytes(): WrittenBytes {
  const points: { at: number; bytes: number }[] = [];
  return {
    note(at, bytes) {
      const last = points.at(-1);
      if (last === undefined || at - last.at >= everyMs) points.push({ at, bytes });
      if (points.length > pointsMax)
        points.splice(0, points.length, ...points.filter((_, index) => index % 2 === 0));
    },
    at: (at) => read(points, at),
    total: () => (points.at(-1)?.bytes ?? 0) - (points[0]?.bytes ?? 0),
  };
}

function read(points: readonly { at: number; bytes: number }[], at: number): number {
  let low = 0;
  let high = points.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((points[middle]?.at ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  const before = points[low];
  const after = points[low + 1];
  if (before === undefined) return 0;
  if (after === undefined || at <= before.at) return before.bytes;
  return before.bytes + ((after.bytes - before.bytes) * (at - before.at)) / (after.at - before.at);
}
