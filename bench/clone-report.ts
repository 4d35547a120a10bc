import type { Report } from './benchmark.ts';
import type { Clone, Steps } from './clone-bough.ts';
import type { DiskKind } from './clone-disk.ts';
import type { Peer } from './clone-peers.ts';
import type { WriterReport } from './clone-writer.ts';
import { type Noise, noiseWords } from './machine.ts';
import { spreadOf } from './spread.ts';
import { ms, table } from './table.ts';

/** One size on one disk. */
export interface CloneResult {
  readonly kind: DiskKind;
  /** GB of tables and indexes. */
  readonly size: number;
  readonly version: string;
  readonly storage: string;
  readonly capture: {
    readonly totalMs: number;
    readonly steps: Steps;
    readonly calm: WriterReport;
    readonly during: WriterReport;
    readonly after: WriterReport;
  };
  /** Whose copies were made ahead, as the worker does it. */
  readonly clones: readonly Clone[];
  /** Copied while somebody waited. */
  readonly cold: readonly Clone[];
  /** Of each clone at its first answer: what the storage says, and by how much the disk grew. */
  readonly exclusiveBytes: readonly {
    readonly own: number;
    readonly isExact: boolean;
    readonly disk: number;
  }[];
  readonly together: { readonly count: number; readonly allMs: number; readonly eachMs: readonly number[] };
  readonly peers: readonly Peer[];
}

export function reportClone(of: {
  readonly results: readonly CloneResult[];
  readonly noise: Noise;
  readonly runs: number;
  readonly rate: number;
}): Report {
  const { results, noise, runs, rate } = of;
  return {
    json: {
      ...of,
      results: results.map((result) => ({
        ...result,
        ...{ clones: result.clones.map(plainClone), cold: result.cold.map(plainClone) },
      })),
    },
    text: [
      noiseWords(noise),
      `Request → first answered query of the app's own user, from an attested golden, ${runs} clones one after the other, copied ahead as the worker does it (PostgreSQL ${results[0]?.version}):`,
      cloneTable(results),
      'Where the median clone spends it:',
      stepTable(results),
      `Capture of the parent while it takes ${rate} transactions a second (four tables each):`,
      captureTable(results),
      'The same data by other means, from the idle parent to the first answered query, once each:',
      peerTable(results),
      'In every clone the sums of accounts, tellers, branches and history agreed, and all rows had the same checksum.',
    ].join('\n\n'),
  };
}

function plainClone({ totalMs, steps }: Clone) {
  return { totalMs, steps };
}

const where = ({ kind, size }: CloneResult): string => `${kind} ${size} GB`;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;

function cloneTable(results: readonly CloneResult[]): string {
  const rows = results.map((result) => {
    const spread = spreadOf(result.clones.map(({ totalMs }) => totalMs));
    const cold = spreadOf(result.cold.map(({ totalMs }) => totalMs));
    const own = spreadOf(result.exclusiveBytes.map((bytes) => bytes.own));
    const disk = spreadOf(result.exclusiveBytes.map((bytes) => bytes.disk));
    const isExact = result.exclusiveBytes.every((bytes) => bytes.isExact);
    return [
      where(result),
      ...[ms(spread.p50), ms(spread.p95), ms(spread.max)],
      `${ms(cold.p50)} / ${ms(cold.p95)}`,
      `${result.together.count}: ${ms(result.together.allMs)}`,
      isExact ? megabytes(own.p50) : '–',
      megabytes(disk.p50),
    ];
  });
  return table(['', 'p50', 'p95', 'max', 'not copied ahead', 'at once, all', 'exclusive', 'disk grew'], rows);
}

function stepTable(results: readonly CloneResult[]): string {
  const names = [
    ...new Set(results.flatMap(({ clones }) => clones.flatMap(({ steps }) => Object.keys(steps)))),
  ];
  const rows = results.map((result) => {
    const cells = names.map((name) =>
      ms(spreadOf(result.clones.map(({ steps }) => steps[name] ?? 0)).p50, 1),
    );
    return [where(result), ...cells];
  });
  return table(['', ...names], rows);
}

function captureTable(results: readonly CloneResult[]): string {
  const rows = results.map((result) => {
    const { totalMs, steps, calm, during } = result.capture;
    return [
      where(result),
      ms(totalMs),
      ms(steps['copy while it runs']),
      `${ms(calm.longestGapMs)} → ${ms(during.longestGapMs)}`,
      `${ms(calm.latencyMs.p50, 1)} → ${ms(during.latencyMs.p50, 1)}`,
      `${ms(calm.latencyMs.max)} → ${ms(during.latencyMs.max)}`,
      String(calm.failed + during.failed),
    ];
  });
  return table(
    ['', 'to the golden', 'copying', 'no commit for, before → while', 'commit p50', 'commit max', 'failed'],
    rows,
  );
}

function peerTable(results: readonly CloneResult[]): string {
  const names = [...new Set(results.flatMap(({ peers }) => peers.map(({ name }) => name)))];
  const rows = names.map((name) => {
    const cells = results.map((result) => {
      const peer = result.peers.find((candidate) => candidate.name === name);
      const median = spreadOf(result.clones.map(({ totalMs }) => totalMs)).p50;
      return peer?.ms === undefined ? 'not measured' : `${ms(peer.ms)} (${(peer.ms / median).toFixed(0)} ×)`;
    });
    return [name, ...cells];
  });
  const notes = [
    ...new Set(results.flatMap(({ peers }) => peers.map(({ name, note }) => `${name}: ${note}`))),
  ];
  return [table(['', ...results.map(where)], rows), ...notes].join('\n');
}
