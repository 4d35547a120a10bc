import { join } from 'node:path';
import { Secret } from '@bough/domain/secret';
import type { Surroundings } from '@bough/engine/engine';
import { createFakeMachine, echoScript, type FakeMachineOptions } from '@bough/engine/fake/engine';
import type { Service } from '@bough/service/service';
import { createFakeStorage } from '@bough/storage/fake/storage';
import { findProject } from '@bough/store/projects';
import { createTempHome } from '@bough/testkit/temp-home';
import { afterEach, expect, test } from 'vitest';
import { type BuildWish, createBuildSlots } from '../src/build-slots.ts';
import { planElsewhere } from '../src/data/load-source.ts';
import { seedServices } from '../src/data/seed.ts';
import { sourcedServices } from '../src/data/sourced-services.ts';
import { mirrorOf, repositoryOf } from '../src/observe.ts';
import { openHarness, QUEUE } from './harness.ts';

const MANIFEST = `applications:
  web:
    type: nodejs:22
    hooks: { build: "echo built" }
    relationships: { one: "one:postgresql", two: "two:postgresql", cache: "cache:redis" }
    mounts: { uploads: { source: storage } }
services:
  one: { type: "postgresql:16" }
  two: { type: "postgresql:16" }
  other: { type: "postgresql:16" }
  cache: { type: "redis:7" }
routes:
  "https://{default}/": { type: upstream, upstream: "web:http" }
`;

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

test('a command that two services name runs once, with both and what else the app needs, and leaves two raw copies', async () => {
  const runs: { surroundings: Partial<Surroundings>; workloads: number }[] = [];
  const world = await open({ script: 'seed-all', onRun: (run) => runs.push(run) });
  const seeded = await world.seed('seed-all');
  expect(seeded.map(({ planned, origin }) => [planned.name, origin])).toEqual([
    ['one', 'seed command "seed-all" of app "web"'],
    ['two', 'seed command "seed-all" of app "web"'],
  ]);
  expect(runs).toHaveLength(1);
  const env = runs[0]?.surroundings.env ?? {};
  const urls = Object.keys(env).filter((name) => name.endsWith('_URL'));
  expect(urls.sort()).toEqual(['CACHE_URL', 'ONE_URL', 'TWO_URL']);
  expect(env).toMatchObject({
    BOUGH_ENVIRONMENT: 'seed--shop',
    BOUGH_ENVIRONMENT_KIND: 'preview',
    PLATFORM_ENVIRONMENT_TYPE: 'development',
  });
  expect(runs[0]?.workloads).toBe(3);
  expect(runs[0]?.surroundings.mounts?.map(({ at }) => at)).toEqual(['/app/uploads']);
  expect(await world.left()).toEqual({ workloads: 0, volumes: 0, snapshots: 2 });
});

test('a command that fails is named with its exit code and its last lines, and leaves nothing', async () => {
  const world = await open();
  const command = 'echo preparing\necho "no catalogue"\nexit 3';
  await expect(world.seed(command)).rejects.toMatchObject({
    code: 'seed-failed',
    message:
      'The seed command "echo preparing…" of app "web" failed with exit code 3. Its last lines: preparing | no catalogue',
    hint: expect.stringContaining('bough data refresh shop'),
  });
  expect(await world.left()).toEqual({ workloads: 0, volumes: 0, snapshots: 0 });
});

test('a command that outlasts its time says so', async () => {
  const world = await open();
  const run = async () => ({ exitCode: 137, killedBy: 'timeout' as const, durationMs: 1, tail: ['row 7'] });
  await expect(world.seed('seed', { run })).rejects.toThrow(
    'did not end within 30 minutes. Its last lines: row 7',
  );
  expect(await world.left()).toEqual({ workloads: 0, volumes: 0, snapshots: 0 });
});

test('a service without a row is refused, although the command ended well', async () => {
  const world = await open({ isEmpty: true });
  await expect(world.seed('echo done')).rejects.toMatchObject({
    code: 'seed-wrote-nothing',
    message: 'The seed command "echo done" of app "web" ended well, but there is no row in "one".',
  });
  expect(await world.left()).toEqual({ workloads: 0, volumes: 0, snapshots: 0 });
});

/** Of somebody else. */
const WISH: BuildWish = {
  ...{ environmentId: '1', projectId: '1', kind: 'preview', priority: 0 },
  ...{ deploymentId: '1', app: 'web', artifactKey: 'a'.repeat(64) },
};

test('its build waits for a slot by itself, and nobody is called for it', async () => {
  const called: (readonly string[])[] = [];
  const buildSlots = createBuildSlots(1, (ids) => called.push(ids));
  const taken = buildSlots.take(WISH, new Date());
  const world = await open();
  const waited: number[] = [];
  const sleep = async (ms: number) => {
    waited.push(ms);
    if (taken.kind === 'taken') taken.release();
  };
  await world.seed('echo done', { buildSlots, sleep });
  expect(waited).toEqual([2_000]);
  expect(called.flat()).toEqual([]);
});

test('it stops waiting when it is aborted', async () => {
  const buildSlots = createBuildSlots(1, () => {});
  buildSlots.take(WISH, new Date());
  const world = await open();
  const controller = new AbortController();
  const sleep = async () => controller.abort(new Error('the worker stops'));
  await expect(world.seed('echo done', { buildSlots, sleep, signal: controller.signal })).rejects.toThrow(
    'the worker stops',
  );
  expect(await world.left()).toEqual({ workloads: 0, volumes: 0, snapshots: 0 });
});

interface Wish {
  /** A command whose runs are told of. */
  readonly script?: string;
  readonly onRun?: (run: { surroundings: Partial<Surroundings>; workloads: number }) => void;
  readonly isEmpty?: boolean;
}

async function open({ script: watched, onRun, isEmpty }: Wish = {}) {
  const harness = await openHarness();
  cleanUps.push(() => harness.close());
  const home = await createTempHome('seed');
  cleanUps.push(() => home.remove());
  const root = join(home.path, 'volumes');
  const storage = createFakeStorage({ root, installationId: 'i1' });
  let workloads = 0;
  const script: FakeMachineOptions['script'] = (command, surroundings) => {
    if (watched !== undefined && command.endsWith(watched)) onRun?.({ surroundings, workloads });
    return echoScript(command);
  };
  const engine = createFakeMachine({ script }).engine('i1');
  const ensure: typeof engine.ensure = async (spec, options) => {
    const workload = await engine.ensure(spec, options);
    workloads = (await engine.list()).length;
    return workload;
  };
  const database: Service = {
    ...QUEUE,
    types: ['postgresql'],
    persistent: () => true,
    toolchain: () => 'postgresql:16',
    credentials: () => ({ username: 'main', password: new Secret('own-password'), endpoints: {} }),
    endpoints: (_, { username, password }) => ({
      postgresql: { scheme: 'pgsql', urlScheme: 'postgresql', username, password, path: 'main', query: {} },
    }),
    cloning: {
      join: () => ({ copy: async () => {} }),
      ...{ defang: async () => {}, claim: async () => {}, adopt: async () => ({ version: '16.1' }) },
      count: async () => [{ table: 'orders', rows: isEmpty === true ? 0 : 7 }],
    },
  };
  const service = (type: string) => (type === 'redis' ? QUEUE : database);
  const commit = await harness.commit({ '.bough/config.yaml': MANIFEST });
  const project = await findProject(harness.pool, harness.projectId);
  if (project === undefined) throw new Error('the harness has no project');
  return {
    async seed(
      command: string,
      over: {
        run?: typeof engine.run;
        buildSlots?: ReturnType<typeof createBuildSlots>;
        sleep?: (ms: number) => Promise<void>;
        signal?: AbortSignal;
      } = {},
    ) {
      const { sleep, run, signal = new AbortController().signal, ...rest } = over;
      const context = {
        ...harness.context,
        ...rest,
        ...{ storage, service, engine: { ...engine, ensure, run: run ?? engine.run } },
        ...(sleep === undefined ? {} : { clock: { ...harness.context.clock, sleep } }),
      };
      const lock = {
        signal,
        fence: { environmentId: 'p1', generation: '0', lease: '0' },
      };
      const voice = { line() {}, note: async () => {} };
      const mirror = mirrorOf(context, project);
      await context.forge('github').fetch(repositoryOf(project), { mirror, commit, signal: lock.signal });
      const parent = await planElsewhere({ context, project, commit, lock }, voice);
      const source = { kind: 'seed' as const, command, app: 'web' };
      const { seedable } = sourcedServices(parent, '7', {
        wanted: parent.plan.common.services,
        sources: { one: source, two: source },
      });
      return await seedServices(parent, { snapshotRowId: '7', wanted: seedable }, voice);
    },
    left: async () => ({
      workloads: (await engine.list()).length,
      volumes: (await storage.list()).length,
      snapshots: (await storage.listSnapshots()).length,
    }),
  };
}
