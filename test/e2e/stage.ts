import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiClient, connectApi } from '@bough/cli/api-client';
import { stopWorkloads } from '@bough/cli/verbs/down';
import { EnvironmentDetail } from '@bough/cli/verbs/views';
import { BoughError } from '@bough/domain/bough-error';
import { get } from '@bough/reconcile/probe';
import { type SandboxForge, startSandboxForge } from '@bough/sandbox/sandbox-forge';
import { freePort } from '@bough/testkit/free-port';
import { assertNothingLeft } from '@bough/testkit/leaks';
import { createTempHome } from '@bough/testkit/temp-home';
import { testGit } from '@bough/testkit/test-git';
import { testToolchainHome } from '@bough/testkit/test-toolchain';
import { waitFor } from '@bough/testkit/wait-for';
import pg from 'pg';
import { type BoughProcess, createBoughProcess, operatorEnvironment } from './bough-process.ts';
import type { Files } from './tiny-project.ts';

/** Generous: it costs nothing while the tests are green, and the machine may be busy. */
export const READY_MS = 120_000;
/** Each look costs the stage a request and several statements. */
const LOOK_MS = 100;

export interface StageForge {
  readonly forge: SandboxForge;
  readonly token: string;
  close(): Promise<void>;
}

/** A whole Bough of its own on free ports, and a forge with one repository. */
export interface Stage {
  readonly forge: SandboxForge;
  readonly bough: BoughProcess;
  readonly api: ApiClient;
  readonly home: string;
  readonly installationId: string;
  readonly gatewayPort: number;
  /** Where webhooks arrive and the API is. */
  readonly serverUrl: string;
  /** GitHub's API as Bough sees it, for what is to be found on the forge in the end. `/repos/acme/tiny/issues/1/comments` */
  forgeGet<Answer>(path: string): Promise<Answer>;
  /** Reads the environment until it is as wanted; fails in words as soon as it has failed for good. */
  untilEnvironment(
    slug: string,
    wanted: (environment: EnvironmentDetail) => boolean,
    options?: { timeoutMs?: number; mayFail?: boolean },
  ): Promise<EnvironmentDetail>;
  readEnvironment(slug: string): Promise<EnvironmentDetail | undefined>;
  /** Ready, and at this commit. */
  untilReady(slug: string, commit: string): Promise<EnvironmentDetail>;
  untilRemoved(slug: string): Promise<EnvironmentDetail>;
  /** One GET as a visitor makes it, through the gateway. */
  visit(slug: string, path?: string): Promise<{ status: number; body: string }>;
  /** What the environment's own app says. */
  ask<Answer>(slug: string, path?: string): Promise<Answer>;
  /** One statement in Bough's own database. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /**
   * Holds a preview's work up at a point (`before-build`, `after-build`, …; apps/worker/src/fault-point.ts), from now
   * until `release`.
   */
  holdUp(slug: string, point: string): Promise<HeldUp>;
  /** Stops everything and fails when a process, a mount or a file of it is left. */
  close(): Promise<void>;
}

/** A forge alone, for stages that share it. */
export async function openForge(): Promise<StageForge> {
  const home = await createTempHome('forge');
  const token = `sandbox_${randomBytes(12).toString('hex')}`;
  const forge = await startSandboxForge({ home: home.path, token, git: await testGit() });
  return {
    forge,
    token,
    async close() {
      await forge.close();
      await home.remove();
    },
  };
}

export interface HeldUp {
  /** Resolves when the work has come there and waits. */
  reached(): Promise<void>;
  release(): Promise<void>;
}

export async function openStage(
  options: {
    /** For Bough, beside what the stage sets itself. */
    environment?: Readonly<Record<string, string>>;
    /** Whoever opened it closes it. */
    forge?: StageForge;
    /** A directory that holds the volumes instead of one in its home: a disk of its own, to be filled. */
    volumes?: string | undefined;
  } = {},
): Promise<Stage> {
  const temporary = await createTempHome('stage');
  const home = join(temporary.path, 'bough');
  const ownForge = options.forge === undefined ? await openForge() : undefined;
  const { forge, token } = options.forge ?? (ownForge as StageForge);
  const ports = { server: await freePort(), gateway: await freePort() };
  await mkdir(home, { mode: 0o700 });
  await mkdir(join(temporary.path, 'tmp'));
  const faults = join(temporary.path, 'faults');
  await mkdir(faults);
  // Node and PostgreSQL are fetched once for all test runs.
  const toolchains = await testToolchainHome();
  await symlink(toolchains, join(home, 'toolchains'));
  // So is what tsx compiles: a stage starts a dozen processes of the same files.
  await mkdir(join(toolchains, 'compiled'), { recursive: true, mode: 0o700 });
  await symlink(join(toolchains, 'compiled'), join(temporary.path, 'tmp', `tsx-${process.getuid?.() ?? 0}`));
  if (options.volumes !== undefined) await symlink(options.volumes, join(home, 'volumes'));
  const environment = {
    ...operatorEnvironment(home),
    BOUGH_PORT: String(ports.server),
    BOUGH_GATEWAY_PORT: String(ports.gateway),
    BOUGH_PUBLIC_URL: `http://127.0.0.1:${ports.server}`,
    BOUGH_RESYNC_SECONDS: '2',
    // What else runs on the machine of the tests must not decide what they see.
    BOUGH_MEMORY_RESERVE_MIB: '0',
    // A copy of a database ahead is enough, and each costs half a second.
    BOUGH_WARM_COPIES: '1',
    BOUGH_FORGE_WRITE_SPACING_MS: '0',
    BOUGH_FAULT_DIRECTORY: faults,
    GITHUB_API_URL: forge.apiUrl,
    GITHUB_TOKEN: token,
    GITHUB_WEBHOOK_SECRET: randomBytes(24).toString('hex'),
    ...options.environment,
  };
  const bough = createBoughProcess({ home, logFile: join(temporary.path, 'bough.log'), environment });
  let pool: pg.Pool | undefined;

  async function close(): Promise<void> {
    await pool?.end();
    try {
      await bough.stop();
    } finally {
      await stopWorkloads(home, environment);
      await ownForge?.close();
    }
    await assertNothingLeft({ path: temporary.path, marker: home }, 10_000);
    await temporary.remove();
  }

  try {
    await bough.start();
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
  const api = await connectApi({ home, url: `http://127.0.0.1:${ports.server}`, token: undefined });
  pool = new pg.Pool({ connectionString: await bough.databaseUrl(), max: 2, application_name: 'test' });
  // It is Bough's own server, which some tests kill.
  pool.on('error', () => undefined);
  const query: Stage['query'] = async (text, values = []) =>
    (await database(pool).query(text, [...values])).rows;
  const installationId = (await readFile(join(home, 'installation-id'), 'utf8')).trim();

  const readEnvironment: Stage['readEnvironment'] = async (slug) => {
    try {
      return EnvironmentDetail.parse(await api.get(`/environments/${encodeURIComponent(slug)}`));
    } catch (error) {
      if (error instanceof BoughError && error.code === 'not-found') return undefined;
      throw error;
    }
  };

  const untilEnvironment: Stage['untilEnvironment'] = async (
    slug,
    wanted,
    { timeoutMs = READY_MS, mayFail } = {},
  ) => {
    const deadline = Date.now() + timeoutMs;
    let last: EnvironmentDetail | undefined;
    let trouble: unknown;
    while (Date.now() < deadline) {
      try {
        last = await readEnvironment(slug);
        trouble = undefined;
      } catch (error) {
        trouble = error;
      }
      if (trouble === undefined && last !== undefined) {
        if (wanted(last)) return last;
        if (last.phase === 'failed' && mayFail !== true) break;
      }
      await delay(LOOK_MS);
    }
    throw new Error(
      `${slug} did not come as far as wanted in ${timeoutMs} ms. ${trouble === undefined ? '' : String(trouble)}\n${describe(last)}\n${await bough.log(60)}`,
    );
  };

  const visit: Stage['visit'] = async (slug, path = '/') => {
    const { status, body } = await get({
      host: '127.0.0.1',
      port: ports.gateway,
      path,
      headers: { host: `${slug}.localhost:${ports.gateway}` },
      timeoutMs: 15_000,
      signal: AbortSignal.timeout(20_000),
    });
    return { status, body };
  };

  return {
    forge,
    bough,
    api,
    home,
    installationId,
    gatewayPort: ports.gateway,
    serverUrl: `http://127.0.0.1:${ports.server}`,
    readEnvironment,
    untilEnvironment,
    untilReady: (slug, commit) =>
      untilEnvironment(slug, (row) => row.phase === 'ready' && row.deployment?.commit === commit),
    untilRemoved: (slug) => untilEnvironment(slug, (row) => row.phase === 'removed', { mayFail: true }),
    visit,
    async ask<Answer>(slug: string, path?: string) {
      const { status, body } = await visit(slug, path);
      if (status !== 200) throw new Error(`${slug}${path ?? '/'} answers ${status}: ${body.slice(0, 500)}`);
      return JSON.parse(body) as Answer;
    },
    query,
    async forgeGet<Answer>(path: string) {
      const response = await fetch(`${forge.apiUrl}${path}`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(30_000),
      });
      if (!response.ok) throw new Error(`the forge answers ${path} with ${response.status}`);
      return (await response.json()) as Answer;
    },
    async holdUp(slug, point) {
      const file = join(faults, `${slug}.${point}`);
      await writeFile(file, '');
      return {
        reached: () => untilReached(`${slug} to come to ${point}`, `${file}.reached`, bough),
        release: async () => {
          await rm(file, { force: true });
          await rm(`${file}.reached`, { force: true });
        },
      };
    },
    close,
  };
}

async function untilReached(what: string, file: string, bough: BoughProcess): Promise<void> {
  try {
    await waitFor(what, () => access(file).then(() => true), { timeoutMs: READY_MS });
  } catch (error) {
    throw new Error(`${String(error)}\n${await bough.log()}`);
  }
}

function database(pool: pg.Pool | undefined): pg.Pool {
  if (pool === undefined) throw new Error('Bough has not been started');
  return pool;
}

function describe(environment: EnvironmentDetail | undefined): string {
  if (environment === undefined) return 'it is not there';
  const steps =
    environment.deployment?.steps.map((step) => `  ${step.name}: ${step.state} ${step.note ?? ''}`) ?? [];
  const { phase, runningStep, failure } = environment;
  return [
    `it is ${phase} at ${runningStep ?? 'no step'} ${failure?.message ?? ''}`,
    ...(failure?.tail ?? []),
    ...steps,
  ].join('\n');
}

/** A repository `acme/<name>` with these files on its default branch, connected to the stages. */
export async function connectRepository(
  forge: SandboxForge,
  stages: readonly Stage[],
  options: { name: string; files: Files; production?: 'external' | 'managed' },
): Promise<Repository> {
  const repo = `acme/${options.name}`;
  await forge.createRepository({ owner: 'acme', name: options.name });
  const head = await forge.commit({
    repo,
    branch: 'main',
    files: { ...options.files },
    message: 'Begin',
    user: 'fern',
  });
  for (const stage of stages) {
    await stage.api.send('POST', '/projects', {
      repository: repo,
      production: options.production ?? 'external',
    });
  }
  return {
    repo,
    name: options.name,
    head,
    push: (branch, files, message = 'Change') =>
      forge.commit({ repo, branch, from: 'main', files: { ...files }, message, user: 'robin' }),
    async open(branch, files) {
      const commit = await forge.commit({
        repo,
        branch,
        from: 'main',
        files: { ...files, 'branch.txt': `${branch}\n` },
        message: `Work on ${branch}`,
        user: 'robin',
      });
      const number = await forge.openPullRequest({
        repo,
        head: branch,
        title: `Try ${branch}`,
        user: 'robin',
      });
      return { number, commit, branch, slug: `pr-${number}--${options.name}` };
    },
    close: (number) => forge.closePullRequest({ repo, number, by: 'robin' }),
  };
}

export interface Repository {
  /** `acme/tiny` */
  readonly repo: string;
  readonly name: string;
  /** The first commit of the default branch. */
  readonly head: string;
  push(branch: string, files: Files, message?: string): Promise<string>;
  /** A branch with these changes, and a pull request of it. Every one has a tree, and so an artifact, of its own. */
  open(branch: string, files?: Files): Promise<PullRequest>;
  close(number: number): Promise<void>;
}

export interface PullRequest {
  readonly number: number;
  readonly commit: string;
  readonly branch: string;
  readonly slug: string;
}
