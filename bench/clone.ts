import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import { migrate } from '@bough/boot/migrate';
import { toolchainCache } from '@bough/boot/toolchain-cache';
import { migrationsDirectory } from '@bough/cli/migrations-directory';
import { BoughError } from '@bough/domain/bough-error';
import type { RunningService } from '@bough/reconcile/deploy/services';
import { createPool } from '@bough/store/database';
import { createToolchain, type Toolchain } from '@bough/toolchain/toolchain';
import type { Benchmark, Report, Surroundings } from './benchmark.ts';
import {
  appOf,
  ask,
  type Clone,
  type CloneSide,
  DATABASE,
  type Golden,
  openCloneSide,
} from './clone-bough.ts';
import { type Disk, type DiskKind, makeDisk } from './clone-disk.ts';
import { comparableMajor, measurePeers } from './clone-peers.ts';
import { type CloneResult, reportClone } from './clone-report.ts';
import { fillSql, type Invariants, invariantsSql, scaleOf, whyBroken } from './clone-rows.ts';
import type { WriterOrders, WriterReport } from './clone-writer.ts';
import { describeMachine, observeMachine, watchMachine } from './machine.ts';

const WRITER = fileURLToPath(new URL('clone-writer.ts', import.meta.url));
/** Another one each time: an engine removes what is left of its own installation, which may be another benchmark's. */
const INSTALLATION = `bench${randomBytes(4).toString('hex')}`;
/** Undisturbed writing before and after the capture, to compare with. */
const CALM_MS = 5_000;

/**
 * Request → first answered query of a preview cloned from an attested golden, by the code that a deployment runs; the
 * capture of the golden while its parent is written to; and what else people do for it, on the same disk in the same run.
 */
export const clone: Benchmark = {
  about: 'golden → first answered query on btrfs and XFS, beside pg_basebackup, pg_dump and TEMPLATE',
  numbers: { runs: 10, together: 20, rate: 200, postgresql: 17 },
  lists: { sizes: [0.1, 1, 5] },
  run: async (numbers, surroundings, lists) => {
    const { runs = 10, together = 20, rate = 200 } = numbers;
    const major = (await comparableMajor()) ?? numbers.postgresql ?? 17;
    return await measure({ runs, together, rate, major, sizes: lists.sizes ?? [1] }, surroundings);
  },
};

interface Plan {
  readonly runs: number;
  readonly together: number;
  readonly rate: number;
  readonly major: number;
  /** In GB of tables and indexes. */
  readonly sizes: readonly number[];
}

async function measure(plan: Plan, surroundings: Surroundings): Promise<Report> {
  const { shutdown, environment } = surroundings;
  const directory = await mkdtemp(join(tmpdir(), 'bough-bench-'));
  shutdown.onShutdown('directory', () => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  await requireRoom(directory, Math.max(...plan.sizes));
  const log = { info() {}, warn() {}, error() {} };
  const toolchain = createToolchain({
    home: (await toolchainCache()) ?? join(directory, 'toolchains'),
    ...{ env: environment, log, packageDirectories: embeddedPackageDirectories() },
  });
  const store = await startEmbeddedPostgres({ home: join(directory, 'postgres'), toolchain, log });
  shutdown.onShutdown('store', () => store.stop());
  await migrate({ url: store.url, directory: migrationsDirectory });
  const before = await observeMachine(directory);
  const watch = watchMachine(directory, shutdown.signal);
  const results: CloneResult[] = [];
  const kinds: DiskKind[] = process.geteuid?.() === 0 ? ['btrfs', 'xfs'] : ['as it is'];
  for (const kind of kinds) {
    for (const size of plan.sizes) {
      results.push(
        await measureOn(kind, size, plan, { directory, toolchain, databaseUrl: store.url }, surroundings),
      );
    }
  }
  const during = await watch.stop();
  const after = await observeMachine(directory);
  return reportClone({ ...plan, results, noise: { machine: describeMachine(), before, during, after } });
}

/** The parent, its copies and a restored dump at once, and some air. */
const diskBytes = (size: number) => Math.ceil(size * 5 + 4) * 1_000_000_000;

async function requireRoom(directory: string, size: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const needed = diskBytes(size) + 2_000_000_000;
  if (bavail * bsize >= needed) return;
  throw new BoughError({
    code: 'disk-full',
    message: `${size} GB need ${needed / 1e9} GB free in ${directory}, and ${Math.floor((bavail * bsize) / 1e9)} GB are.`,
    hint: 'Point TMPDIR at a larger disk, or measure less: --sizes 0.1,1',
  });
}

async function measureOn(
  kind: DiskKind,
  size: number,
  plan: Plan,
  base: { directory: string; toolchain: Toolchain; databaseUrl: string },
  surroundings: Surroundings,
): Promise<CloneResult> {
  const { shutdown } = surroundings;
  const say = (text: string) => surroundings.onProgress(`${kind}, ${size} GB: ${text}`);
  const disk = await makeDisk(kind, { ...base, sizeBytes: diskBytes(size) }, surroundings);
  const pool = createPool({ url: base.databaseUrl, max: plan.together + 4, applicationName: 'bough bench' });
  const side = await openCloneSide({
    ...{ disk, pool, toolchain: base.toolchain, databaseUrl: base.databaseUrl, major: plan.major },
    ...{ signal: shutdown.signal, installationId: INSTALLATION },
  });
  const close = async () => {
    await side.context.storage.warm?.close();
    for (const { id } of await side.context.engine.list()) await side.context.engine.remove(id);
    await pool.end();
  };
  let isOpen = true;
  const closeOnce = async () => {
    if (isOpen) await close();
    isOpen = false;
  };
  shutdown.onShutdown(`servers on ${kind}`, closeOnce);
  say('production is made');
  const scale = scaleOf(size);
  const parent = await side.fillParent(fillSql(scale));
  const captured = await captureWhileWritten(side, parent, { scale, rate: plan.rate }, say);
  const measure = { side, golden: captured.golden, runs: plan.runs, disk, say };
  const cold = await measureAlone({ ...measure, isAhead: false, signal: shutdown.signal });
  const alone = await measureAlone({ ...measure, isAhead: true, signal: shutdown.signal });
  await side.copyAhead(captured.golden);
  const together = await measureTogether(measure, plan.together, alone.first);
  say('what else there is');
  const cloneRun = await side.prepare(9_000);
  const { service } = await side.clone(cloneRun, captured.golden);
  const peers = await measurePeers(
    side,
    { parent, number: 9_001, major: plan.major, cloneRun, clone: service },
    say,
  );
  await closeOnce();
  await disk.remove();
  return {
    ...{ kind, size, version: parent.version, storage: side.context.storage.kind, peers },
    ...{ capture: captured, clones: alone.clones, together },
    // Of a copy that was made ahead, the disk grew before.
    ...{ cold: cold.clones, exclusiveBytes: cold.exclusiveBytes },
  };
}

async function captureWhileWritten(
  side: CloneSide,
  parent: RunningService,
  { scale, rate }: { scale: number; rate: number },
  say: (text: string) => void,
): Promise<CloneResult['capture'] & { golden: Golden }> {
  say(`capture while ${rate} transactions a second are written`);
  const writer = await startWriter(parent, scale, rate);
  try {
    await new Promise((resolve) => setTimeout(resolve, CALM_MS));
    const calm = await writer.report();
    const golden = await side.capture();
    const during = await writer.report();
    await new Promise((resolve) => setTimeout(resolve, CALM_MS));
    say(
      `captured in ${Math.round(golden.totalMs)} ms; the writer waited ${Math.round(during.longestGapMs)} ms at most`,
    );
    return {
      golden,
      totalMs: golden.totalMs,
      steps: golden.steps,
      calm,
      during,
      after: await writer.report(),
    };
  } finally {
    await writer.stop();
  }
}

async function startWriter(parent: RunningService, scale: number, rate: number) {
  const { address } = parent;
  const login = appOf(parent.credentials);
  const orders: WriterOrders = {
    ...{ host: address.host, port: address.port, user: login.username, password: login.password.reveal() },
    ...{ database: DATABASE, scale, rate },
  };
  const child = fork(WRITER, { execArgv: ['--import', import.meta.resolve('tsx')] });
  const closed = once(child, 'close');
  child.send(orders);
  await Promise.race([
    once(child, 'message'),
    closed.then(() => Promise.reject(new Error('the writer ended'))),
  ]);
  const askFor = async (order: 'report' | 'stop'): Promise<WriterReport> => {
    const answer = once(child, 'message');
    child.send(order);
    const [report] = (await answer) as [WriterReport];
    return report;
  };
  return {
    report: () => askFor('report'),
    async stop() {
      if (child.connected) await askFor('stop').catch(() => {});
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** One after the other; each is looked through and removed before the next. */
async function measureAlone(of: {
  side: CloneSide;
  golden: Golden;
  runs: number;
  /** Copies of the golden were made ahead, as the worker makes them. */
  isAhead: boolean;
  disk: Disk;
  signal: AbortSignal;
  say: (text: string) => void;
}): Promise<{
  clones: Clone[];
  exclusiveBytes: { own: number; isExact: boolean; disk: number }[];
  first: Invariants;
}> {
  const { side, golden, runs, isAhead, disk, signal, say } = of;
  const clones: Clone[] = [];
  const exclusiveBytes: { own: number; isExact: boolean; disk: number }[] = [];
  let first: Invariants | undefined;
  // The one that does not count makes what everybody profits from afterwards: caches, just-in-time code.
  for (let run = 0; run <= runs; run += 1) {
    signal.throwIfAborted();
    const preview = await side.prepare((isAhead ? 100_000 : 0) + run);
    await side.copyAhead(isAhead ? golden : undefined);
    const before = await disk.settledBytes();
    const made = await side.clone(preview, golden);
    const grown = (await disk.usedBytes()) - before;
    const { exclusiveBytes: own, exact } = await side.context.storage.usage(made.service.volume?.id ?? '');
    first = await requireWhole(made, first);
    await side.remove(preview);
    if (run === 0) continue;
    clones.push(made);
    exclusiveBytes.push({ own, isExact: exact, disk: grown });
    say(
      `clone ${run}/${runs}${isAhead ? ', copied ahead,' : ''} answered after ${Math.round(made.totalMs)} ms and takes ${(grown / 1e6).toFixed(1)} MB`,
    );
  }
  if (first === undefined) throw new Error('nothing was cloned');
  return { clones, exclusiveBytes, first };
}

async function measureTogether(
  { side, golden, disk, say }: { side: CloneSide; golden: Golden; disk: Disk; say: (text: string) => void },
  count: number,
  first: Invariants,
): Promise<CloneResult['together']> {
  const previews = await Promise.all(
    Array.from({ length: count }, (_, index) => side.prepare(1_000 + index)),
  );
  await disk.settledBytes();
  const from = performance.now();
  const made = await Promise.all(previews.map((preview) => side.clone(preview, golden)));
  const allMs = performance.now() - from;
  say(`${count} at once: all answered after ${Math.round(allMs)} ms`);
  for (const one of made) await requireWhole(one, first);
  for (const preview of previews) await side.remove(preview);
  return { count, allMs, eachMs: made.map(({ totalMs }) => totalMs) };
}

/** Throws when money was lost on the way, or the clone is not what the others are. */
async function requireWhole({ service }: Clone, first: Invariants | undefined): Promise<Invariants> {
  const [found] = (await ask(service.address, appOf(service.credentials), invariantsSql)) as unknown as [
    Invariants,
  ];
  const broken = whyBroken(found, first ?? found);
  if (broken !== undefined)
    throw new BoughError({ code: 'clone-broken', message: `A clone is broken: ${broken}` });
  return found;
}
