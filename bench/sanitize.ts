import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import { migrate } from '@bough/boot/migrate';
import { toolchainCache } from '@bough/boot/toolchain-cache';
import { migrationsDirectory } from '@bough/cli/migrations-directory';
import { BoughError } from '@bough/domain/bough-error';
import { captureGolden } from '@bough/reconcile/data/capture';
import type { PlannedRun, StepVoice } from '@bough/reconcile/deploy/run';
import { declarationOf, startService } from '@bough/reconcile/deploy/services';
import { createPool } from '@bough/store/database';
import { createToolchain } from '@bough/toolchain/toolchain';
import type { Benchmark, Report, Surroundings } from './benchmark.ts';
import { ask, type CloneSide, type Golden, openCloneSide } from './clone-bough.ts';
import { makeDisk } from './clone-disk.ts';
import { describeMachine, observeMachine, watchMachine } from './machine.ts';
import { reportSanitize, type Stage } from './sanitize-report.ts';
import { byHandSql, fillUsersSql, ORDERS_SHARE, policy } from './sanitize-rows.ts';

const INSTALLATION = 'bench';
const COMMIT = 'c'.repeat(40);
const BYTES_A_ROW = 450;

/**
 * Masking a table of users that orders refer to, by the code that a capture runs, beside the best SQL by hand on the same
 * files under the same settings; and the whole way from running production to frozen golden, stage by stage.
 */
export const sanitize: Benchmark = {
  about: 'masking users and orders beside SQL by hand, and capture → frozen golden, stage by stage',
  numbers: { rows: 5_000_000, postgresql: 17 },
  run: async ({ rows = 5_000_000, postgresql = 17 }, surroundings) => measure(rows, postgresql, surroundings),
};

async function measure(rows: number, major: number, surroundings: Surroundings): Promise<Report> {
  const { shutdown, environment, onProgress } = surroundings;
  const directory = await mkdtemp(join(tmpdir(), 'bough-bench-'));
  shutdown.onShutdown('directory', () => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const log = { info() {}, warn() {}, error() {} };
  const toolchain = createToolchain({
    home: (await toolchainCache()) ?? join(directory, 'toolchains'),
    ...{ env: environment, log, packageDirectories: embeddedPackageDirectories() },
  });
  const store = await startEmbeddedPostgres({ home: join(directory, 'postgres'), toolchain, log });
  shutdown.onShutdown('store', () => store.stop());
  await migrate({ url: store.url, directory: migrationsDirectory });
  const disk = await makeDisk(
    'as it is',
    { directory, sizeBytes: rows * BYTES_A_ROW * 5, toolchain },
    surroundings,
  );
  const pool = createPool({ url: store.url, max: 8, applicationName: 'bough bench' });
  const side = await openCloneSide({
    ...{ disk, pool, toolchain, databaseUrl: store.url, major },
    ...{ signal: shutdown.signal, installationId: INSTALLATION },
  });
  shutdown.onShutdown('servers', async () => {
    for (const { id } of await side.context.engine.list()) await side.context.engine.remove(id);
    await pool.end();
  });
  onProgress(`production is made: ${rows} users, ${Math.floor(rows / ORDERS_SHARE)} orders`);
  const parent = await side.fillParent(fillUsersSql(rows));
  const before = await observeMachine(directory);
  const watch = watchMachine(directory, shutdown.signal);
  onProgress('a copy for the SQL by hand');
  const raw = await side.capture();
  const byHandMs = await measureByHand(side, raw, onProgress);
  await side.removeGolden(raw);
  onProgress('capture, mask, prove, freeze');
  const stages = await measureStages(side, onProgress);
  const during = await watch.stop();
  const after = await observeMachine(directory);
  return reportSanitize({
    ...{ rows, orders: Math.floor(rows / ORDERS_SHARE), byHandMs, stages },
    ...{ version: parent.version, storage: side.context.storage.kind },
    noise: { machine: describeMachine(), before, during, after },
  });
}

/** On a copy of the same files, by a server that is set up as Bough's own for masking. */
async function measureByHand(side: CloneSide, raw: Golden, say: (text: string) => void): Promise<number> {
  const { context, parent } = side;
  const [planned] = parent.plan.common.services;
  const source = planned && raw.attested.facts.volumes[`service:${planned.name}`];
  const credentials = planned && raw.inherited[planned.name];
  if (planned === undefined || source === undefined || credentials === undefined)
    throw new Error('nothing was captured');
  const labels = {
    ...{ installationId: context.installationId, environmentId: parent.environment.id },
    ...{ name: 'capture:by-hand', kind: 'capture' as const },
  };
  const volume = await context.storage.ensure({
    id: `${INSTALLATION}-by-hand`,
    labels,
    from: source.snapshotId,
  });
  const service = context.service(planned.type);
  const { address, workload } = await startService(parent, {
    ...{ service, declaration: declarationOf(planned), credentials, volume, mode: 'capture' },
    ...{ voice: silent, workloadName: 'by hand' },
  });
  await service.ready(address, credentials, parent.lock.signal);
  const [extension, ...statements] = byHandSql(randomBytes(32).toString('hex'));
  await ask(address, credentials, extension ?? '');
  say('the SQL by hand');
  const from = performance.now();
  for (const sql of statements) await ask(address, credentials, sql);
  const tookMs = performance.now() - from;
  await context.engine.remove(workload.id);
  await context.storage.remove(volume.id);
  return tookMs;
}

/** A capture as production's refresh makes it; its points for tests of crashes tell where it is. */
async function measureStages({ parent }: CloneSide, say: (text: string) => void): Promise<Stage[]> {
  const stages: Stage[] = [];
  let [name, from] = ['capture', performance.now()];
  const next = (to: string) => {
    const now = performance.now();
    const known = stages.find((stage) => stage.name === name);
    if (known === undefined) stages.push({ name, ms: now - from });
    else stages[stages.indexOf(known)] = { name, ms: known.ms + now - from };
    [name, from] = [to, now];
  };
  const run: PlannedRun = {
    ...parent,
    context: { ...parent.context, faultPoint: async ({ point }) => next(point.replace('during-', '')) },
  };
  const voice: StepVoice = { line: (text) => say(text), note: async () => {} };
  const golden = await captureGolden(run, { sanitize: policy, commit: COMMIT, why: 'measured' }, voice);
  next('');
  if (golden.state !== 'frozen')
    throw new BoughError({ code: 'bench-failed', message: 'The capture did not freeze.' });
  return stages;
}

const silent: StepVoice = { line() {}, note: async () => {} };
