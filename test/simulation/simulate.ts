import { beginComments, insertProject } from '@bough/store/projects';
import { createCalls } from './calls.ts';
import { createConnections } from './connections.ts';
import { type CoverageCounts, createCoverage } from './coverage.ts';
import type { SimDatabase } from './database.ts';
import { createDeliveries } from './deliveries.ts';
import { alsoAt, createCrashPlan } from './faults.ts';
import { createInvariants } from './invariants/all.ts';
import { createJudges, type Judges } from './judges.ts';
import type { Mutation } from './mutation.ts';
import { createPeople } from './people.ts';
import type { SimProcess } from './process.ts';
import {
  INSTALLATION,
  RESYNC_MS,
  type SimServer,
  type SimWorker,
  type Surroundings,
  startGateway,
  startServer,
  startWorker,
} from './processes.ts';
import { createRandom, type Random } from './random.ts';
import { createScheduler } from './scheduler.ts';
import { createTrouble } from './trouble.ts';
import { Violation } from './violation.ts';
import { createVisitors, type Gateway } from './visitors.ts';
import { capacityOf, drawSize, isLimited } from './world/capacity.ts';
import { createCommits, FAILURES, type PolicyName } from './world/commits.ts';
import { createForge, type ForgeTrouble } from './world/forge.ts';
import {
  createForgeWorld,
  DEFAULT_BRANCH,
  MIRROR_ID,
  moveMain,
  namesOf,
  REPOSITORY_ID,
} from './world/forge-world.ts';
import { createMachine } from './world/machine.ts';
import { createQueueStore } from './world/queue-store.ts';
import { createDisk } from './world/volumes.ts';

export interface SimulationResult {
  readonly seed: number;
  readonly aim: string | undefined;
  readonly also: readonly string[];
  /** What people and faults did, each at its time. */
  readonly history: readonly string[];
  /** A broken promise, or an error of the simulation itself. */
  readonly failure: unknown;
  readonly counts: CoverageCounts;
  readonly steps: number;
  readonly simulatedMs: number;
}

/** Nothing may still change after this long without people and faults: eight retries up to five minutes apart, and a while. */
const QUIET_WITHIN_MS = 45 * 60_000;
/** A resync that changes nothing; what it sees without an owner for the first time is a change. */
const QUIET_FOR_MS = RESYNC_MS + 15_000;
const GLANCE_MS = 15_000;
/** What the default branch says about previews; most say nothing. */
const POLICIES: readonly PolicyName[] = ['plain', 'plain', 'plain', 'labelled', 'idle', 'lazy'];
/** People and faults act so often at most. */
const ACTS = [4, 8] as const;

/** One history, from the seed and the await that is aimed at alone: what people do, what breaks, how everything interleaves. */
export async function simulate(options: {
  seed: number;
  database: SimDatabase;
  /** The await at which a process is to die, perhaps not when it comes first. */
  aim?: string | undefined;
  /** At these one dies for certain when they come; until then the history is what it is without. */
  also?: readonly string[];
  mutation?: Mutation | undefined;
  /** Every line of it at once, with what Bough says to its log. */
  onLine?: ((line: string) => void) | undefined;
}): Promise<SimulationResult> {
  const { seed, database, mutation, aim, also = [] } = options;
  await database.reset();
  const stream = (name: string) => createRandom(`${seed} ${name}`);
  const scheduler = createScheduler(stream('interleaving'));
  const coverage = createCoverage();
  const history: string[] = [];
  const note = (text: string) => {
    const line = `${(scheduler.now() / 1000).toFixed(3).padStart(9)}  ${text}`;
    history.push(line);
    options.onLine?.(line);
  };

  const processes: SimProcess[] = [];
  const kill = (process: SimProcess, why: string) => {
    if (!process.isAlive) return;
    process.isAlive = false;
    note(`${process.name} dies: ${why}`);
    coverage.crashed(why.replace(/,[^,]*$/, ''));
    for (const die of process.onDeath.splice(0)) die();
    scheduler.at(stream(`restart ${processes.length}`).int(200, 6_000), null, () => startAgain(process));
  };
  const crashes = alsoAt(createCrashPlan(stream('crashes'), aim), stream('more crashes'), also);
  const calls = createCalls({ scheduler, random: stream('durations'), coverage, crashes, kill });
  const now = () => new Date(scheduler.wall());
  let judges: Judges | undefined;
  const witness = { does: async (deed: Parameters<Judges['does']>[0]) => await judges?.does(deed) };
  const machine = createMachine({ calls, witness, installationId: INSTALLATION, now });
  const disk = createDisk({ calls, witness, installationId: INSTALLATION, now });
  const policy = stream('policy').pick(POLICIES);
  const size = drawSize(stream('size'));
  const intakes = drawIntakes(stream('intakes'), isLimited(size));
  const commits = createCommits(calls, policy);
  const world = createForgeWorld([...intakes.keys()]);
  const forgeTrouble: ForgeTrouble = { share: 0, codes: [] };
  const connections = createConnections({
    ...{ scheduler, calls, database },
    rewrite: mutation?.statement ?? ((text) => text),
    onWrite: (tables) => {
      if (tables.some((table) => NOTED.has(table))) judges?.stir();
    },
    onLock: (event) => {
      try {
        judges?.lock(event);
      } catch (error) {
        scheduler.fail(error);
      }
    },
  });
  const queueStore = createQueueStore({
    ...{ scheduler, calls, random: stream('queue') },
    losesAddsWhileActive: mutation?.losesAddsWhileActive ?? false,
  });
  const watched = {
    ...{ now: scheduler.now, watcher: database.watcher, forge: world, disk, commits, size },
    workloads: machine.list,
  };
  judges = createJudges(createInvariants(), watched, coverage);
  const { production } = judges;

  let server: SimServer | undefined;
  let gateway: Gateway | undefined;
  const workers: SimWorker[] = [];
  const deliveries = createDeliveries({
    ...{ scheduler, random: stream('deliveries'), world, server: () => server },
    isPolled: (repository) => intakes.get(repository) === 'poll',
    onFate: (fate) => {
      note(`  its webhook is ${fate}`);
      coverage.did(`webhook ${fate}`);
    },
  });
  const forgeRandom = stream('forge');
  const surroundings: Surroundings = {
    ...{ scheduler, calls, connections, queueStore, machine, disk, commits, mutation },
    watcher: database.watcher,
    isPolling: [...intakes.values()].includes('poll'),
    capacity: (process) => capacityOf({ ...{ size, machine, disk, calls, process }, production }),
    forge: (process) => {
      const forge = createForge({
        ...{ world, calls, process, random: forgeRandom, trouble: forgeTrouble },
        ...{ redeliver: deliveries.redeliver, now: scheduler.now },
      });
      return mutation?.forge?.(forge) ?? forge;
    },
    log: logTo(options.onLine && ((line) => options.onLine?.(`           ${line}`))),
  };

  async function start(kind: SimProcess['kind'], name: string): Promise<void> {
    const process: SimProcess = { name, kind, isAlive: true, onDeath: [] };
    processes.push(process);
    if (kind === 'worker') workers.push(await startWorker(surroundings, process));
    else if (kind === 'server') server = await startServer(surroundings, process);
    else gateway = startGateway(surroundings, process, () => workers);
  }

  async function startAgain({ kind, name }: SimProcess): Promise<void> {
    note(`${name} starts again`);
    await start(kind, name);
  }

  const visitors = createVisitors({
    ...{ scheduler, watcher: database.watcher, machine, gateway: () => gateway },
  });
  const people = createPeople({
    ...{ random: stream('people'), world, commits, deliveries, visitors, policy, now: scheduler.now },
  });
  const trouble = createTrouble({
    ...{
      random: stream('trouble'),
      scheduler,
      forge: forgeTrouble,
      connections,
      queueStore,
      machine,
      disk,
      kill,
    },
    living: () => processes.filter(({ isAlive }) => isAlive),
  });

  /** Lets time pass. */
  async function pass(ms: number): Promise<void> {
    let isOver = false;
    scheduler.at(ms, null, () => {
      isOver = true;
    });
    for (let count = 1; !isOver; count += 1) {
      await scheduler.step();
      if (count % 40 === 0) await judges?.look();
    }
    await judges?.look();
  }

  async function live(): Promise<void> {
    const pace = stream('pace');
    const production = pace.chance(0.6) ? 'managed' : 'external';
    moveMain(world, commits.make('good').id);
    for (const [repositoryId, intake] of intakes) {
      const isFirst = repositoryId === REPOSITORY_ID;
      coverage.did(`${isFirst ? 'one' : 'another'} project by ${intake}`);
      const project = await insertProject(database.watcher as never, {
        ...{ installationId: INSTALLATION, forge: 'github', forgeHost: 'github.com', repositoryId },
        ...{ ...namesOf(world, repositoryId), slug: 'shop', defaultBranch: DEFAULT_BRANCH, intake },
        // A mirror deploys nothing: its subject would be the same as the first one's.
        production: isFirst ? production : 'external',
      });
      // As connecting does (packages/reconcile/src/connect-project.ts).
      if (intake === 'poll')
        await beginComments(database.watcher as never, project.id, { after: 0, since: null });
    }
    if (isLimited(size))
      coverage.did(`room for ${size.maxAwake ?? 'any'} previews, memory for ${size.memoryFor ?? 'any'}`);
    await start('server', 'server');
    await start('gateway', 'gateway');
    for (let worker = 1; worker <= pace.int(1, 2); worker += 1) await start('worker', `worker-${worker}`);
    queueStore.setStalls(0.02);
    await pass(pace.chance(0.5) ? 4_000 : 200);
    for (let left = pace.int(...ACTS); left > 0; ) {
      const did = pace.chance(0.3) ? trouble.strike() : people.act();
      if (did !== undefined) {
        left -= 1;
        coverage.did(did.event);
        note(did.text);
      }
      await pass(pace.pick([0, 30, 300, 1_000, 2_500, 5_000, 12_000]));
    }
    crashes.calmDown();
    trouble.end();
    queueStore.setStalls(0);
    deliveries.setReliable();
    note('nothing more happens');
    await rest();
    note('at rest');
    await judges?.atRest();
    if (await visitSleepers()) {
      note('at rest again');
      await judges?.atRest();
    }
  }

  /** Whoever comes to what is asleep gets an answer, now that nothing else happens. */
  async function visitSleepers(): Promise<boolean> {
    const { rows } = await database.watcher.query<{ subject: string; commit: string; hasRun: boolean }>(
      `select subject, desired_commit as commit, release_deployment_id is not null as "hasRun" from environments
       where desired_state = 'asleep' and held_reason is null and removed_at is null order by id`,
    );
    if (rows.length === 0) return false;
    visitors.takeUnanswered();
    for (const { subject } of rows) {
      note(`somebody visits ${subject}, which is asleep`);
      coverage.did('visit asleep');
      visitors.visit(subject);
      // Where they take each other's room only the next one waits.
      if (isLimited(size)) await rest();
    }
    await rest();
    const unanswered = visitors.takeUnanswered();
    for (const { subject, commit, hasRun } of rows) {
      const mayFail = size.memoryFor === 0 || (!hasRun && FAILURES[commits.find(commit).content] !== null);
      if (unanswered.includes(subject) && !mayFail)
        throw new Violation('a visit wakes', `nobody answers the visitor of ${subject}`);
    }
    return true;
  }

  /** Waits until nothing changes any more. */
  async function rest(): Promise<void> {
    const from = scheduler.now();
    let seen = '';
    let quietFor = 0;
    while (quietFor < QUIET_FOR_MS) {
      await pass(GLANCE_MS);
      const state = await glance();
      const open = state === seen ? await unsettled() : undefined;
      quietFor = state === seen && open === undefined ? quietFor + GLANCE_MS : 0;
      seen = state;
      if (open !== undefined && scheduler.now() - from > QUIET_WITHIN_MS)
        throw new Violation('quiescence', `${open} is never settled`);
      if (scheduler.now() - from > QUIET_WITHIN_MS) {
        const busy = queueStore.busy().slice(0, 5).join(', ') || 'none';
        throw new Violation(
          'quiescence',
          `things still change ${QUIET_WITHIN_MS / 60_000} min later; jobs: ${busy}; refused by the forge: ${await refusals()}`,
        );
      }
    }
  }

  /** It may be looked at late: after a clock that was set back, what came before seems to have come just now. */
  async function unsettled(): Promise<string | undefined> {
    const { rows } = await database.watcher.query<{ what: string }>(
      `select 'delivery ' || delivery_id as what from deliveries where fate in ('received', 'queued')
       union all select 'request ' || kind || ' of ' || subject from requests where handled_at is null`,
    );
    return rows[0]?.what;
  }

  async function refusals(): Promise<string> {
    const { rows } = await database.watcher.query<{ what: string }>(
      `select concat(kind, ' ', key, ' of environment ', environment_id) as what from publications
       where detail->>'refusal' = 'forge-forbidden'`,
    );
    return rows.map(({ what }) => what).join(', ') || 'nothing';
  }

  async function glance(): Promise<string> {
    const { rows } = await database.watcher.query<{ state: string; refused: boolean }>(GLANCE);
    const said = [...world.comments.values()].map(({ body }) => body).join();
    const things = [
      disk.volumes.size,
      disk.snapshots.size,
      (await machine.list()).map(({ id, state }) => id + state),
    ];
    // What the forge forbade is said again ten minutes later; older, a newer environment speaks for the subject.
    const refused = rows[0]?.refused === true ? scheduler.now() : 0;
    return JSON.stringify([rows[0]?.state, said, things, refused]);
  }

  let failure: unknown;
  try {
    await live();
  } catch (error) {
    failure = error;
  } finally {
    // What still waits is forgotten, its sessions are given back.
    for (const process of processes) {
      process.isAlive = false;
      for (const die of process.onDeath.splice(0)) die();
    }
    await scheduler.settle().catch(() => {});
  }
  const { steps } = scheduler;
  const { counts } = coverage;
  return { seed, aim, also, history, failure, counts, steps, simulatedMs: scheduler.now() };
}

/** Tables whose changes the invariants hear of. */
const NOTED: ReadonlySet<string> = new Set(['environments', 'deployments', 'snapshots']);

/** Some are polled. Where there is little room another project wants some of it too. */
function drawIntakes(random: Random, isLimited: boolean): ReadonlyMap<number, 'webhook' | 'poll'> {
  const intakes = new Map<number, 'webhook' | 'poll'>([
    [REPOSITORY_ID, random.chance(0.12) ? 'poll' : 'webhook'],
  ]);
  if (isLimited && random.chance(0.5)) intakes.set(MIRROR_ID, random.chance(0.4) ? 'poll' : 'webhook');
  return intakes;
}

const GLANCE = `select md5(coalesce(string_agg(line, ',' order by line), '')) as state,
  exists (select from publications
          where detail->>'refusal' = 'forge-forbidden' and published_at > now() - interval '12 minutes') as refused from (
  select concat('e', id, ' ', desired_state, generation, ' ', observed_generation, ' ',
                -- Whoever waits for room asks again every few seconds.
                case when waiting_reason is null then lease::text else concat(waiting_position, waiting_reason) end, running_step, failure_code, failures,
                release_deployment_id, removed_at is null) as line from environments
  union all select concat('d', id, state) from deployments
  union all select concat('p', environment_id, kind, key, hash) from publications
  union all select concat('w', id, fate) from deliveries
  union all select concat('o', kind, name, listings) from orphans
  union all select concat('s', id, state) from snapshots) as lines`;

function logTo(onLine: ((line: string) => void) | undefined) {
  const say = (level: string) => (fields: Record<string, unknown> | object, message: string) => {
    if (onLine === undefined) return;
    const plain = Object.entries(fields).map(
      ([name, value]) => `${name}=${value instanceof Error ? value.message : String(value)}`,
    );
    onLine(`${level} ${message} ${plain.join(' ')}`);
  };
  return { info: say('info'), warn: say('warn'), error: say('error') };
}
