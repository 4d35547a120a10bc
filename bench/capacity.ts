import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { get } from '@bough/reconcile/probe';
import { processesOf } from '@bough/testkit/leaks';
import { waitFor } from '@bough/testkit/wait-for';
import { connectRepository, openStage, type PullRequest, type Stage } from '../test/e2e/stage.ts';
import { manifest, tinyProject } from '../test/e2e/tiny-project.ts';
import type { Benchmark, Report, Surroundings } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { spreadOf } from './spread.ts';
import { ms, table } from './table.ts';

const LONG_MS = 30 * 60_000;
/** Long enough that what happens once in a resync (every 60 s) is in it. */
const IDLE_WATCHED_MS = 65_000;

/** Many open pull requests on one machine, few of them awake: what one that sleeps costs, and how fast it wakes. */
export const capacity: Benchmark = {
  about: 'open pull requests that sleep: memory, disk and CPU of each, and how long a visitor waits',
  numbers: { pulls: 300, awake: 5, wakes: 20 },
  run: async ({ pulls = 300, awake = 5, wakes = 20 }, surroundings) =>
    await measure({ pulls, awake, wakes }, surroundings),
};

async function measure(
  { pulls, awake, wakes }: { pulls: number; awake: number; wakes: number },
  { shutdown, onProgress }: Surroundings,
): Promise<Report> {
  const stage = await openStage({
    environment: {
      BOUGH_MAX_AWAKE: String(awake),
      BOUGH_MIN_AWAKE_SECONDS: '0',
      BOUGH_VISITS_SECONDS: '0.2',
      BOUGH_RESYNC_SECONDS: '60',
    },
  });
  shutdown.onShutdown('stage', () => stage.close());
  const files = await tinyProject({ database: true });
  const lazy = `${manifest({ database: true })}  lazy: true\n`;
  const repository = await connectRepository(stage.forge, [stage], {
    name: 'tiny',
    files: { ...files, '.bough/config.yaml': lazy },
  });
  onProgress('one pull request, so that everything that is fetched once is there');
  const first = await repository.open('first');
  await stage.untilEnvironment(first.slug, (row) => row.phase === 'asleep', { timeoutMs: LONG_MS });
  await untilServed(stage, first);
  const before = await observe(stage);
  onProgress(`opening ${pulls - 1} more`);
  const opened = [first];
  for (let index = 1; index < pulls; index += 1) opened.push(await repository.open(`offer-${index}`));
  for (const { slug } of opened.slice(1))
    await stage.untilEnvironment(slug, (row) => row.phase === 'asleep', { timeoutMs: LONG_MS });
  // All of them have been deployed once, or only those that are to wake: with many, deploying costs the hours.
  const deployed = opened.slice(0, Math.min(pulls, awake + wakes));
  onProgress(`${pulls} sleep; deploying ${deployed.length} of them by a first visit`);
  for (const pull of deployed) await untilServed(stage, pull);
  const wake = async (pull: PullRequest) => {
    await untilAsleep(stage, pull);
    shutdown.signal.throwIfAborted();
    const since = performance.now();
    const answer = await visit(stage, pull.slug);
    if (answer.status !== 200)
      throw new Error(`${pull.slug} answers ${answer.status}: ${answer.body.slice(0, 200)}`);
    const tookMs = performance.now() - since;
    onProgress(`${pull.slug} woke in ${Math.round(tookMs)} ms`);
    return tookMs;
  };
  // Each has to wait until another one was put to sleep.
  const crowded: number[] = [];
  for (const pull of deployed.slice(0, wakes)) crowded.push(await wake(pull));
  for (const pull of deployed) await untilAsleep(stage, pull);
  const waits: number[] = [];
  for (const [index, pull] of deployed.slice(0, wakes).entries()) {
    waits.push(await wake(pull));
    // The next one is to find room; the last ones stay awake.
    const former = deployed[index - awake + 1];
    if (former !== undefined && index < wakes - 1) await untilAsleep(stage, former);
  }
  onProgress(`nobody does anything for ${IDLE_WATCHED_MS / 1000} s`);
  const from = await observe(stage);
  await delay(IDLE_WATCHED_MS, undefined, { signal: shutdown.signal });
  const to = await observe(stage);
  const idleCpu = (to.cpuSeconds - from.cpuSeconds) / (IDLE_WATCHED_MS / 1_000);
  const memory = Math.max(0, to.controlBytes - before.controlBytes) / pulls;
  const disk = to.diskBytes / deployed.length;
  const spread = spreadOf(waits);
  const making = spreadOf(crowded);
  const machine = describeMachine();
  const rows = [
    ['open pull requests', String(pulls)],
    ['of them deployed at least once', String(deployed.length)],
    ['awake (of at most)', `${to.awake} (${awake})`],
    ['processes of those that sleep', String(to.sleepingProcesses)],
    ['memory of the control plane per sleeping environment', `${(memory / 1024).toFixed(0)} KiB`],
    ['disk per deployed environment (artifact, database)', `${(disk / 1024 ** 2).toFixed(1)} MiB`],
    ['CPU while idle, of one core, all of Bough', `${(idleCpu * 100).toFixed(2)} %`],
    ['CPU while idle per sleeping environment', `${((idleCpu * 100) / pulls).toFixed(4)} %`],
    ['wake to first byte, p50', ms(spread.p50)],
    ['wake to first byte, p95', ms(spread.p95)],
    ['wake to first byte, slowest', ms(spread.max)],
    ['the same while another must be put to sleep first, p50', ms(making.p50)],
    ['the same, p95', ms(making.p95)],
  ];
  return {
    text: `${machine.cores} cores, ${machine.model}, Node ${machine.node}, load ${loadavg()[0]?.toFixed(1)}\n\n${table(['', `${waits.length} wakes`], rows)}`,
    json: {
      pulls,
      ...to,
      memoryBytes: memory,
      diskBytes: disk,
      idleCpu,
      wakeMs: spread,
      wakeMakingRoomMs: making,
      waits,
    },
  };
}

/** Visits until it answers: the first one deploys it. */
async function untilServed(stage: Stage, { slug }: PullRequest): Promise<void> {
  await waitFor(`${slug} to answer`, async () => (await visit(stage, slug)).status === 200, {
    timeoutMs: LONG_MS,
    intervalMs: 200,
  });
}

async function untilAsleep(stage: Stage, { slug }: PullRequest): Promise<void> {
  const row = await stage.readEnvironment(slug);
  if (row?.phase !== 'asleep')
    await stage.api.send('POST', `/environments/${slug}/actions`, { kind: 'sleep', askedBy: 'bench' });
  await stage.untilEnvironment(slug, (now) => now.phase === 'asleep' && now.routes[0]?.state === 'asleep', {
    timeoutMs: LONG_MS,
  });
}

function visit(stage: Stage, slug: string) {
  return get({
    host: '127.0.0.1',
    port: stage.gatewayPort,
    path: '/hook-runs',
    headers: { host: `${slug}.localhost:${stage.gatewayPort}` },
    timeoutMs: 60_000,
    signal: AbortSignal.timeout(60_000),
  });
}

interface Observed {
  readonly awake: number;
  /** Resident, shared parts counted in proportion: serve, server, worker, gateway, Postgres and Redis. */
  readonly controlBytes: number;
  readonly cpuSeconds: number;
  readonly diskBytes: number;
  readonly sleepingProcesses: number;
}

async function observe(stage: Stage): Promise<Observed> {
  const rows = await stage.query<{ id: string; awake: boolean }>(
    `select id::text, desired_state = 'running' as awake from environments where removed_at is null`,
  );
  const asleep = new Set(rows.filter(({ awake }) => !awake).map(({ id }) => id));
  let [controlBytes, cpuSeconds, sleepingProcesses] = [0, 0, 0];
  for (const { pid } of await processesOf({ marker: stage.home })) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    const id = /BOUGH_ENVIRONMENT=(\d+)\0/.exec(environment)?.[1];
    if (id !== undefined) {
      if (asleep.has(id)) sleepingProcesses += 1;
      continue;
    }
    controlBytes += await proportionalBytes(pid);
    cpuSeconds += await cpuOf(pid);
  }
  return {
    awake: rows.length - asleep.size,
    ...{ controlBytes, cpuSeconds, sleepingProcesses },
    diskBytes: await bytesOf([`${stage.home}/volumes`, `${stage.home}/artifacts`]),
  };
}

/** As `du` counts: what two share is counted once for each, so this is the most that it can be. */
async function bytesOf(directories: readonly string[]): Promise<number> {
  const { stdout } = await promisify(execFile)('du', ['-s', '--block-size=1', ...directories]);
  return stdout.split('\n').reduce((sum, line) => sum + (Number.parseInt(line, 10) || 0), 0);
}

async function proportionalBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

const TICKS_PER_SECOND = 100;

async function cpuOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
}
