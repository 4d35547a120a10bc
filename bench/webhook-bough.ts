import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import { freePort } from '@bough/boot/free-port';
import { openHome } from '@bough/boot/home';
import { migrate } from '@bough/boot/migrate';
import { openQueueStore } from '@bough/boot/queue-store';
import { startChild } from '@bough/cli/serve/child';
import { createQueues } from '@bough/queue/queue';
import { createPool } from '@bough/store/database';
import { insertProject } from '@bough/store/projects';
import { createToolchain } from '@bough/toolchain/toolchain';
import type pg from 'pg';
import type { Surroundings } from './benchmark.ts';
import type { Target } from './webhook-target.ts';

const EXAMPLE_REPOSITORY = { repositoryId: 186853002, owner: 'Codertocat', name: 'Hello-World' };
const SETTLE_MS = 5_000;

/** What is in the stores afterwards, counted there and not believed from answers. */
export interface Proof {
  /** Rows of `deliveries` by fate. */
  readonly rows: Readonly<Record<string, number>>;
  readonly rowsInAll: number;
  /** Jobs that wait in the queue `observe`, warm-up included: no worker takes them away. */
  readonly jobsWaiting: number;
  readonly subjectsQueued: number;
  /** How Postgres and Redis keep what they are given. */
  readonly durability: string;
}

export interface BoughTarget {
  readonly target: Target;
  readonly queueStore: string;
  prove(): Promise<Proof>;
}

const silent = { info() {}, warn() {}, error() {} };

/**
 * The real server process on an embedded Postgres and Redis, with one project. No worker runs: jobs stay where they can
 * be counted, and the processors are the server's and its stores'.
 */
export async function startBoughTarget(
  options: { directory: string; secret: string },
  { shutdown, environment, onProgress }: Surroundings,
): Promise<BoughTarget> {
  const home = await openHome({ path: join(options.directory, 'bough') });
  const toolchain = createToolchain({
    home: home.directories.toolchains,
    env: environment,
    log: silent,
    packageDirectories: embeddedPackageDirectories(),
  });
  onProgress('starting Postgres, the queue store and the server');
  const { signal } = shutdown;
  const postgres = await startEmbeddedPostgres({
    home: home.directories.postgres,
    toolchain,
    log: silent,
    signal,
  });
  shutdown.onShutdown('postgres', () => postgres.stop());
  const queueStore = await openQueueStore({
    databaseUrl: postgres.url,
    home: home.directories.redis,
    toolchain,
    log: silent,
    signal,
  });
  shutdown.onShutdown('queue store', () => queueStore.stop());
  const migrations = fileURLToPath(new URL('../migrations', import.meta.url));
  await migrate({ url: postgres.url, directory: migrations, signal });
  const pool = createPool({ url: postgres.url, max: 2, applicationName: 'bough bench' });
  shutdown.onShutdown('pool', () => pool.end());
  await addProject(pool, home.installationId);

  const port = await freePort();
  const server = startChild({
    name: 'server',
    main: new URL('../apps/server/src/main.ts', import.meta.url),
    environment: {
      ...environment,
      BOUGH_HOME: home.path,
      BOUGH_HOST: '127.0.0.1',
      BOUGH_PORT: String(port),
      DATABASE_URL: postgres.url,
      REDIS_URL: queueStore.kind === 'redis' ? queueStore.url : undefined,
      // Nothing that is measured calls the forge.
      GITHUB_API_URL: 'https://api.github.com',
      GITHUB_TOKEN: 'no-token-is-needed',
      GITHUB_WEBHOOK_SECRET: options.secret,
    },
    logFile: join(options.directory, 'server.log'),
    log: silent,
  });
  shutdown.onShutdown('server', () => server.stop());
  await server.ready;
  const connection =
    queueStore.kind === 'redis'
      ? { kind: 'redis' as const, url: queueStore.url }
      : { kind: 'postgres' as const, url: postgres.url };
  return {
    queueStore: queueStore.why,
    target: {
      name: 'Bough',
      url: `http://127.0.0.1:${port}/webhooks/github`,
      pid: server.pid,
      storePids: async () => {
        const { rows } = await pool.query<{ pid: number }>('select pid from pg_stat_activity');
        return rows.map(({ pid }) => pid);
      },
    },
    async prove() {
      const queues = await createQueues({ connection, prefix: home.installationId, log: silent });
      try {
        return await readProof(pool, async () => (await queues.counts()).observe.waiting);
      } finally {
        await queues.close();
      }
    },
  };
}

async function addProject(pool: pg.Pool, installationId: string): Promise<void> {
  await insertProject(pool, {
    ...EXAMPLE_REPOSITORY,
    installationId,
    forge: 'github',
    forgeHost: 'github.com',
    slug: 'hello-world',
    defaultBranch: 'master',
    production: 'external',
    intake: 'webhook',
  });
}

async function readProof(pool: pg.Pool, countWaiting: () => Promise<number>): Promise<Proof> {
  const deadline = Date.now() + SETTLE_MS;
  // Fates are written behind the answers, some at a time.
  let counted = await countRows(pool);
  while ((counted.rows.received ?? 0) > 0 && Date.now() < deadline) {
    await delay(50);
    counted = await countRows(pool);
  }
  const { rows } = await pool.query<{ sync: string; commit: string; subjects: number }>(
    `select current_setting('fsync') as sync, current_setting('synchronous_commit') as commit,
       (select count(distinct subject)::int from deliveries, unnest(subjects) as subject where fate = 'queued') as subjects`,
  );
  return {
    ...counted,
    jobsWaiting: await countWaiting(),
    subjectsQueued: rows[0]?.subjects ?? 0,
    durability: `Postgres fsync ${rows[0]?.sync}, synchronous_commit ${rows[0]?.commit}`,
  };
}

async function countRows(pool: pg.Pool): Promise<Pick<Proof, 'rows' | 'rowsInAll'>> {
  const { rows } = await pool.query<{ fate: string; count: number }>(
    `select fate, count(*)::int as count from deliveries where delivery_id like 'bench-%' group by fate order by fate`,
  );
  return {
    rows: Object.fromEntries(rows.map(({ fate, count }) => [fate, count])),
    rowsInAll: rows.reduce((sum, { count }) => sum + count, 0),
  };
}
