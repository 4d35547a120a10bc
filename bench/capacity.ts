import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { get } from '@bough/reconcile/probe';
import { processesOf } from '@bough/testkit/leaks';
import { waitFor } from '@bough/testkit/wait-for';
import { z } from 'zod';
import { connectRepository, openStage, type PullRequest, type Stage } from '../test/e2e/stage.ts';
import { manifest, tinyProject } from '../test/e2e/tiny-project.ts';
import type { Benchmark, Report, Surroundings } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { spreadOf } from './spread.ts';
import { ms, table } from './table.ts';

const LONG_MS = 30 * 60_000;
/** Long enough that what happens once in a resync (every 60 s) is in it. */
const IDLE_WATCHED_MS = 65_000;
const LOOK_MS = 5_000;
/** What a worker looks at when it starts, it has looked at by then. */
const SETTLED_MS = 30_000;
/** Deployed at once, so that 300 of them do not take the hour. */
const DEPLOYED_AT_ONCE = 3;

interface Numbers {
  readonly pulls: number;
  readonly awake: number;
  readonly wakes: number;
  readonly deployed: number;
}

/** Many open pull requests on one machine, few of them awake: what one that sleeps costs, and how fast it wakes. */
export const capacity: Benchmark = {
  about: 'open pull requests that sleep: memory, disk and CPU of each, and how long a visitor waits',
  numbers: { pulls: 300, awake: 5, wakes: 20, deployed: 60 },
  run: async ({ pulls = 300, awake = 5, wakes = 20, deployed = 60 }, surroundings) =>
    await measure(
      { pulls, awake, wakes, deployed: Math.min(pulls, Math.max(deployed, wakes)) },
      surroundings,
    ),
};

async function measure(numbers: Numbers, { shutdown, onProgress }: Surroundings): Promise<Report> {
  const { pulls, awake, wakes } = numbers;
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
  await untilAsleep(stage, first);
  const one = await watchIdle(stage, shutdown.signal, onProgress);
  onProgress(`opening ${pulls - 1} more`);
  const opened = [first];
  for (let index = 1; index < pulls; index += 1) {
    shutdown.signal.throwIfAborted();
    opened.push(await repository.open(`offer-${index}`));
    if (index % 50 === 0) onProgress(`${index} are open`);
  }
  for (const { slug } of opened.slice(1))
    await stage.untilEnvironment(slug, (row) => row.phase === 'asleep', { timeoutMs: LONG_MS });
  const deployed = opened.slice(0, numbers.deployed);
  onProgress(`${pulls} sleep; deploying ${deployed.length} of them by a first visit`);
  await eachOf(deployed, DEPLOYED_AT_ONCE, async (pull, index) => {
    shutdown.signal.throwIfAborted();
    await untilServed(stage, pull);
    if ((index + 1) % 20 === 0) onProgress(`${index + 1} were deployed`);
  });
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
  const linesBefore = (await wokenIn(stage)).length;
  const waits: number[] = [];
  for (const [index, pull] of deployed.slice(0, wakes).entries()) {
    waits.push(await wake(pull));
    // The next one is to find room; the last ones stay awake.
    const former = deployed[index - awake + 1];
    if (former !== undefined && index < wakes - 1) await untilAsleep(stage, former);
  }
  const parts = partsOf((await wokenIn(stage)).slice(linesBefore));
  const many = await watchIdle(stage, shutdown.signal, onProgress);
  const sleepers = pulls - many.awake;
  const more = sleepers - 1;
  const spread = spreadOf(waits);
  const making = spreadOf(crowded);
  const machine = describeMachine();
  const rows = [
    ['open pull requests', String(pulls)],
    ['of them deployed at least once', String(deployed.length)],
    ['awake (of at most)', `${many.awake} (${awake})`],
    ['processes of those that sleep', String(many.sleepingProcesses)],
    ['memory of all of Bough with one that sleeps', mebibytes(one.controlBytes)],
    [`the same with ${sleepers}`, mebibytes(many.controlBytes)],
    ['that is for each that sleeps', kibibytes((many.controlBytes - one.controlBytes) / more)],
    ["Bough's own database, for each", kibibytes((many.databaseBytes - one.databaseBytes) / more)],
    ['disk of its volumes, for each that was deployed', mebibytes(many.volumeBytes / deployed.length)],
    ['disk of its artifact and logs, for each', mebibytes(many.madeBytes / deployed.length)],
    ['CPU while idle, all of Bough, with one that sleeps', share(one.cpu)],
    [`the same with ${sleepers}`, share(many.cpu)],
    ['that is for each that sleeps', share((many.cpu - one.cpu) / more, 4)],
    ['wake to first byte, p50', ms(spread.p50)],
    ['wake to first byte, p95', ms(spread.p95)],
    ['wake to first byte, slowest', ms(spread.max)],
    ...Object.entries(parts).map(([part, took]) => [`  of the median: ${part}`, ms(took)]),
    ['the same while another must be put to sleep first, p50', ms(making.p50)],
    ['the same, p95', ms(making.p95)],
  ];
  return {
    text: [
      `${machine.cores} cores, ${machine.model}, Node ${machine.node}, load ${loadavg()[0]?.toFixed(1)}`,
      '',
      table(['', `${waits.length} wakes`], rows),
      '',
      `Idle figures are of ${IDLE_WATCHED_MS / 1000} s in which nobody did anything, after a restart of Bough; memory is the least in them,`,
      'shared pages in proportion. A difference of few sleepers is mostly what Node takes and gives back by itself. Disk is as du',
      'counts: what volumes share on btrfs or XFS is in it for each, so there it is the most that it can be.',
    ].join('\n'),
    json: { ...numbers, one, many, parts, wakeMs: spread, wakeMakingRoomMs: making, waits },
  };
}

const kibibytes = (bytes: number) => `${(bytes / 1024).toFixed(0)} KiB`;
const mebibytes = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
const share = (cpu: number, digits = 2) => `${(cpu * 100).toFixed(digits)} % of a core`;

async function eachOf<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item !== undefined) await work(item, index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

const Woken = z.object({ msg: z.literal('woken') }).catchall(z.unknown());

/** What the worker said of each wake, the oldest first. */
async function wokenIn(stage: Stage): Promise<Record<string, unknown>[]> {
  const lines = (await stage.bough.log(1_000_000)).split('\n').filter((line) => line.includes('"woken"'));
  return lines.flatMap((line) => {
    const parsed = Woken.safeParse(JSON.parse(line));
    return parsed.success ? [parsed.data] : [];
  });
}

/** The median of each part. */
function partsOf(lines: readonly Record<string, unknown>[]): Record<string, number> {
  const names = Object.keys(lines[0] ?? {}).filter((name) => name.endsWith('Ms') && name !== 'totalMs');
  return Object.fromEntries(
    names.map((name) => [
      name.slice(0, -2),
      spreadOf(lines.flatMap((line) => (typeof line[name] === 'number' ? [line[name]] : []))).p50,
    ]),
  );
}

interface Idle extends Observed {
  /** Of one core, all of Bough. */
  readonly cpu: number;
}

/**
 * What Bough takes while nobody does anything. Its processes are new, so that two such figures differ by what they know
 * about and not by what they have done before.
 */
async function watchIdle(
  stage: Stage,
  signal: AbortSignal,
  onProgress: Surroundings['onProgress'],
): Promise<Idle> {
  await stage.bough.killAll();
  await stage.bough.start();
  await delay(SETTLED_MS, undefined, { signal });
  onProgress(`nobody does anything for ${IDLE_WATCHED_MS / 1000} s`);
  const from = await observe(stage);
  const startedAt = performance.now();
  let least = from.controlBytes;
  let to = from;
  while (performance.now() - startedAt < IDLE_WATCHED_MS) {
    await delay(LOOK_MS, undefined, { signal });
    to = await observe(stage);
    least = Math.min(least, to.controlBytes);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  return { ...to, controlBytes: least, cpu: (to.cpuSeconds - from.cpuSeconds) / seconds };
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
  /** Bough's own rows. */
  readonly databaseBytes: number;
  readonly volumeBytes: number;
  /** Artifacts and logs. */
  readonly madeBytes: number;
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
    databaseBytes: await databaseBytes(stage),
    volumeBytes: await bytesOf([`${stage.home}/volumes`]),
    madeBytes: await bytesOf([`${stage.home}/artifacts`, `${stage.home}/logs`]),
  };
}

async function databaseBytes(stage: Stage): Promise<number> {
  const [row] = await stage.query<{ bytes: number }>(
    'select pg_database_size(current_database())::float8 as bytes',
  );
  return row?.bytes ?? 0;
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
