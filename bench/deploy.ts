import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@bough/boot/logger';
import { startStage } from '@bough/cli/demo/stage';
import { stopWorkloads } from '@bough/cli/verbs/down';
import { chooseStorage } from '@bough/storage/probe';
import { createPool } from '@bough/store/database';
import type { Benchmark, Report, Surroundings } from './benchmark.ts';
import {
  type BoughRun,
  type BoughSide,
  closePreview,
  openPreview,
  openShop,
  pushChange,
  REPOSITORY,
  redeploy,
  untilQuiet,
} from './deploy-bough.ts';
import { type ByHand, type HandRun, prepareByHand } from './deploy-by-hand.ts';
import { type DeployRuns, reportDeploy } from './deploy-report.ts';
import { describeMachine, observeMachine, watchMachine } from './machine.ts';

/**
 * A further pull request of the example, built, and a redeploy of its preview, cached, beside a shell script that does
 * the same by hand: the same commit, in turn, in one run on one machine.
 */
export const deploy: Benchmark = {
  about: 'webhook → verified preview, built and cached, beside a shell script that does the same by hand',
  numbers: { runs: 10 },
  run: async ({ runs = 10 }, surroundings) => await measure(runs, surroundings),
};

async function measure(runs: number, surroundings: Surroundings): Promise<Report> {
  const { shutdown, onProgress } = surroundings;
  const { directory, side, storage } = await openSide(surroundings);
  onProgress('the example shop: production deployed, its data captured');
  const { commit } = await openShop(side);
  onProgress('the script by hand: its own golden data');
  const byHand = await prepareByHand(
    {
      directory: join(directory, 'by-hand'),
      toolchains: join(directory, 'bough', 'toolchains'),
      repositoryUrl: `${side.stage.forge.url}/${REPOSITORY}.git`,
      commit,
      storage,
    },
    surroundings,
  );
  onProgress('one run of each that does not count');
  await measureOnce(side, byHand, 0);
  const before = await observeMachine(directory);
  const watch = watchMachine(directory, shutdown.signal);
  const counted: DeployRuns[] = [];
  for (let run = 1; run <= runs; run += 1) {
    shutdown.signal.throwIfAborted();
    const measured = await measureOnce(side, byHand, run);
    counted.push(measured);
    const words = [measured.built.readyMs, measured.cached.readyMs, measured.byHand.readyMs].map(Math.round);
    onProgress(`run ${run}/${runs}: built ${words[0]} ms, cached ${words[1]} ms, by hand ${words[2]} ms`);
  }
  const during = await watch.stop();
  const after = await observeMachine(directory);
  return reportDeploy({
    runs: counted,
    storage,
    noise: { machine: describeMachine(), before, during, after },
  });
}

/** One pull request's life, and the script on the same commit. Who is first alternates, so that neither profits. */
async function measureOnce(side: BoughSide, byHand: ByHand, run: number): Promise<DeployRuns> {
  const commit = await pushChange(side, `offer-${run}`);
  await untilQuiet(side);
  const isHandFirst = run % 2 === 0;
  const hand: HandRun | undefined = isHandFirst ? await byHand.preview(commit) : undefined;
  const { built, cached } = await measureBough(side, `offer-${run}`);
  return { built, cached, byHand: hand ?? (await byHand.preview(commit)) };
}

async function measureBough(side: BoughSide, branch: string): Promise<{ built: BoughRun; cached: BoughRun }> {
  const { number, slug, run: built } = await openPreview(side, branch);
  await untilQuiet(side);
  const cached = await redeploy(side, slug);
  await untilQuiet(side);
  await closePreview(side, number);
  await untilQuiet(side);
  return { built, cached };
}

/** A whole Bough in a directory of its own. `shutdown` stops all of it and removes the directory. */
async function openSide(
  surroundings: Surroundings,
): Promise<{ directory: string; side: BoughSide; storage: string }> {
  const { shutdown, environment, onProgress } = surroundings;
  const directory = await mkdtemp(join(tmpdir(), 'bough-bench-'));
  const home = join(directory, 'bough');
  const logFile = join(directory, 'bench.log');
  const log = createLogger({
    name: 'bench',
    destination: createWriteStream(logFile, { flags: 'a', mode: 0o600 }),
  });
  shutdown.onShutdown('directory', () => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  // Workloads outlive the processes of Bough, so they are stopped when those are.
  shutdown.onShutdown('workloads', async () => {
    const isThere = await stat(home).catch(() => undefined);
    if (isThere) await stopWorkloads(home, environment);
  });
  const stage = await startStage(
    {
      home,
      forgeHome: join(directory, 'forge'),
      environment: { ...environment, BOUGH_LOG_FILE: logFile },
      onProgress,
    },
    shutdown,
    log,
  );
  const pool = createPool({ url: stage.bough.databaseUrl, max: 2, applicationName: 'bough bench' });
  shutdown.onShutdown('pool', () => pool.end());
  return {
    directory,
    side: { stage, pool, signal: shutdown.signal },
    storage: await storageKind(directory),
  };
}

/** The kind that Bough chooses on this disk, found in a directory beside its own. */
async function storageKind(directory: string): Promise<string> {
  const root = join(directory, 'storage-probe');
  await mkdir(root);
  const { storage } = await chooseStorage({
    root,
    want: 'auto',
    installationId: 'bench',
    log: { info() {} },
  });
  return storage.kind;
}
