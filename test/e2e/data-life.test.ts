import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findDumpTools } from '@bough/service/postgresql/dump-tools';
import { postgresql } from '@bough/service/postgresql/service';
import { waitFor } from '@bough/testkit/wait-for';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createServiceRunner } from '../../packages/service/test/service-runner.ts';
import { boughCommand } from './fixtures/bough-command.ts';
import { connectRepository, openStage, READY_MS, type Repository, type Stage } from './stage.ts';
import { tinyProject } from './tiny-project.ts';

/** Newer data for a preview, and back to its start: what it serves is never in between. */

const WHOLE_MS = 300_000;

let stage: Stage;
let repository: Repository;

beforeAll(async () => {
  stage = await openStage();
  repository = await connectRepository(stage.forge, [stage], {
    name: 'tiny',
    files: await tinyProject({ database: true, clones: true }),
    production: 'managed',
  });
  await stage.forge.setPermission({ repo: repository.repo, user: 'ada', permission: 'write' });
  await stage.untilReady('tiny', repository.head);
  await untilCaptured(1);
}, WHOLE_MS);

afterAll(() => stage?.close(), 120_000);

async function untilCaptured(goldens: number): Promise<void> {
  await waitFor(
    `${goldens} golden snapshots`,
    async () => {
      const rows = await stage.query("select 1 from snapshots where state = 'frozen'");
      return rows.length >= goldens;
    },
    { timeoutMs: READY_MS, intervalMs: 100 },
  );
}

const hookRuns = (slug: string) => stage.ask<string[]>(slug, '/hook-runs');

/** Asks, and waits until what comes of it is there. */
async function ask(slug: string, kind: string, phase: 'ready' | 'failed'): Promise<void> {
  const before = await stage.readEnvironment(slug);
  await stage.api.send('POST', `/environments/${slug}/actions`, { kind });
  await stage.untilEnvironment(
    slug,
    (row) => row.phase === phase && row.deployment?.id !== before?.deployment?.id,
    { mayFail: true },
  );
}

/** The volumes of a preview's database: one, however often its data was replaced. */
async function volumes(slug: string): Promise<string[]> {
  const [row] = await stage.query<{ id: string }>('select id::text from environments where slug = $1', [
    slug,
  ]);
  const names = await readdir(join(stage.home, 'volumes/volumes'));
  return names.filter((name) => name.includes(`-e${row?.id}-service-`));
}

/** A branch of that preview by the command line: its commit on its golden, without a word on the forge; then gone whole. */
async function branchAndBack(
  pull: { slug: string; number: number; commit: string },
  runs: string[],
): Promise<void> {
  const branch = (...args: string[]) => boughCommand(stage.home, ['branch', ...args, '--project', 'tiny']);
  expect(await branch('bug', '--from', `pr-${pull.number}`, '--expires', '12h')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('bug--tiny is being made'),
  });
  const source = await stage.readEnvironment(pull.slug);
  const bug = await stage.untilReady('bug--tiny', pull.commit);
  expect(bug.golden?.id).toBe(source?.golden?.id);
  expect(await hookRuns('bug--tiny')).toEqual(runs);
  expect((await branch('list')).stdout).toMatch(/bug\s+bug--tiny\s+pull\/\d+\s+ready/);
  expect(await branch('bug')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('already') });
  const said =
    "select 1 from publications p join environments e on e.id = p.environment_id where e.slug = 'bug--tiny'";
  expect(await stage.query(said)).toEqual([]);
  expect(await volumes('bug--tiny')).toHaveLength(1);
  expect(await branch('delete', 'bug')).toMatchObject({ exitCode: 0 });
  const { id } = await stage.untilRemoved('bug--tiny');
  const names = await readdir(join(stage.home, 'volumes/volumes'));
  expect(names.filter((name) => name.includes(`-e${id}-`))).toEqual([]);
}

test('reset, newer data through a crash, and a hook that fails on newer data', {
  timeout: WHOLE_MS,
}, async () => {
  const { head } = repository;
  const pull = await repository.open('cart');
  const strict = await repository.open('strict', {
    'hook.sh': 'node note-run.mjs\nnode limit.mjs\n',
    'limit.mjs': `import { query } from './database.mjs';
const [{ count }] = await query('select count(*)::int as count from hook_runs');
if (count > 2) { console.error('too many runs: ' + count); process.exit(1); }
`,
  });
  await stage.untilReady(pull.slug, pull.commit);
  await stage.untilReady(strict.slug, strict.commit);
  expect(await hookRuns(pull.slug)).toEqual([head, pull.commit]);
  await ask(pull.slug, 'redeploy', 'ready');
  expect(await hookRuns(pull.slug)).toEqual([head, pull.commit, pull.commit]);
  await ask(pull.slug, 'reset', 'ready');
  expect(await hookRuns(pull.slug)).toEqual([head, pull.commit]);

  // Production moves on; what was cloned from it stays until somebody asks.
  const newer = await stage.forge.commit({
    repo: repository.repo,
    branch: 'main',
    files: { 'change.txt': 'newer\n' },
    message: 'Move on',
    user: 'fern',
  });
  await stage.untilReady('tiny', newer);
  await untilCaptured(2);
  expect(await hookRuns(pull.slug)).toEqual([head, pull.commit]);
  const { golden } = await stage.untilEnvironment(pull.slug, (row) => row.golden !== null);
  expect(golden?.newestAt).not.toBe(golden?.capturedAt);

  const held = await stage.holdUp(pull.slug, 'after-deploy-hook');
  await stage.forge.comment({ repo: repository.repo, number: pull.number, user: 'ada', body: '/bough sync' });
  await held.reached();
  // The newer data is there, and its hook has run; what serves still serves what it had.
  expect(await hookRuns(pull.slug)).toEqual([head, pull.commit]);
  await stage.bough.kill('worker');
  await held.release();
  await stage.untilEnvironment(
    pull.slug,
    (row) => row.phase === 'ready' && row.golden !== null && row.golden.id !== golden?.id,
  );
  expect(await hookRuns(pull.slug)).toEqual([head, newer, pull.commit]);
  await waitFor('the old volume to go', async () => (await volumes(pull.slug)).length === 1, {
    timeoutMs: READY_MS,
  });

  await branchAndBack(pull, [head, newer, pull.commit]);

  await ask(strict.slug, 'sync', 'failed');
  const failed = await stage.readEnvironment(strict.slug);
  expect(failed?.failure).toMatchObject({
    code: 'deploy-hook-failed',
    hint: expect.stringContaining('the preview keeps the data that it had'),
  });
  expect(failed?.golden?.id).toBe(golden?.id);
  expect(await hookRuns(strict.slug)).toEqual([head, strict.commit]);
  expect(await volumes(strict.slug)).toHaveLength(1);
  await expect(stage.api.send('POST', '/environments/tiny/actions', { kind: 'sync' })).rejects.toThrow(
    'never replaced',
  );
});

const tools = await findDumpTools({ least: 14, target: 14 }).catch(() => undefined);

/** A dump as the operator of a production elsewhere would put it there. */
async function writeDump(file: string, major: number): Promise<void> {
  const runner = await createServiceRunner();
  try {
    const declaration = { name: 'db', type: 'postgresql', version: String(major), configuration: {} };
    const credentials = postgresql.credentials(declaration);
    const { address } = await runner.start({
      toolchain: postgresql.toolchain(declaration),
      program: postgresql.program(declaration, credentials, 'preview'),
      volume: await runner.volume(),
    });
    await waitFor(
      'the server elsewhere',
      () => postgresql.ready(address, credentials, AbortSignal.timeout(5_000)).catch(() => undefined),
      { timeoutMs: READY_MS },
    );
    const login = { user: credentials.username, password: credentials.password.reveal() };
    const client = new pg.Client({ ...address, ...login, database: 'postgres' });
    await client.connect();
    await client.query('create table hook_runs (id serial primary key, commit text not null)');
    await client.query("insert into hook_runs (commit) values ('elsewhere')");
    await client.end();
    await mkdir(dirname(file), { recursive: true });
    await promisify(execFile)(tools?.dump ?? 'pg_dump', ['--format=custom', '-f', file], {
      env: {
        PGHOST: address.host,
        PGPORT: String(address.port),
        PGUSER: login.user,
        PGPASSWORD: login.password,
        PGDATABASE: 'postgres',
      },
    });
  } finally {
    await runner.close();
  }
}

const seedPolicy = `data:
  sanitize: { ids: keep, tables: { hook_runs: { commit: email } } }
  source: { database: { seed: "node seed.mjs", app: web } }
`;

/** Fails for as long as there is a `broken` in it. */
const seedScript = (broken: string) => `import { query } from './database.mjs';
const { SEED_KEY, PRODUCTION_KEY, BOUGH_ENVIRONMENT_KIND, DATABASE_PASSWORD } = process.env;
console.log('seeding a ' + BOUGH_ENVIRONMENT_KIND + ', production ' + PRODUCTION_KEY + ', with ' + SEED_KEY + ' and ' + DATABASE_PASSWORD);
await query('create table hook_runs (id serial primary key, commit text not null)');
${broken}
await query("insert into hook_runs (commit) values ('ada@customers.org')");
`;

/** The default branch names a seed command: first one that fails, then one that is mended. */
async function seedInstead(far: Repository, manifest: string, slug: string): Promise<void> {
  const key = (name: string, value: string, kind: 'production' | 'preview') =>
    stage.api.send('PUT', `/projects/far/variables/${name}`, {
      ...{ value, secret: true, build: false, run: true },
      ...{ production: kind === 'production', preview: kind === 'preview' },
    });
  await key('SEED_KEY', 'sesame-of-previews', 'preview');
  await key('PRODUCTION_KEY', 'sesame-of-production', 'production');
  const config = `${manifest.slice(0, manifest.indexOf('data:'))}${seedPolicy}`;
  const commit = (broken: string) =>
    stage.forge.commit({
      ...{ repo: far.repo, branch: 'main', user: 'fern', message: 'Seed' },
      files: { '.bough/config.yaml': config, 'seed.mjs': seedScript(broken) },
    });
  const failure = async () => {
    const { failure: said } = (await stage.api.get('/projects/far/data')) as {
      failure: { message: string; hint: string } | null;
    };
    return said;
  };
  await commit("console.error('no catalogue');\nprocess.exit(3);");
  await waitFor('the seed to fail', async () => (await failure())?.message.includes('seed'), {
    timeoutMs: READY_MS,
  });
  expect(await failure()).toMatchObject({
    message:
      'The seed command "node seed.mjs" of app "web" failed with exit code 3. Its last lines: ' +
      'seeding a preview, production undefined, with [redacted] and [redacted] | no catalogue',
    hint: expect.stringContaining('bough data refresh far'),
  });

  await commit('');
  await stage.api.send('POST', '/projects/far/data/refresh');
  await waitFor(
    'the golden of the seed',
    async () => {
      const rows = await stage.query(
        `select 1 from snapshots s where s.state = 'frozen'
         and s.report #>> '{sources,database}' = 'seed command "node seed.mjs" of app "web"'`,
      );
      return rows.length === 1;
    },
    { timeoutMs: READY_MS },
  );
  await ask(slug, 'sync', 'ready');
  const [seeded, ...others] = await hookRuns(slug);
  expect(seeded).toMatch(/^u[0-9a-f]{16}@example\.test$/);
  expect(others).toHaveLength(1);
}

test(`production elsewhere${tools === undefined ? ' - a part SKIPPED: no pg_dump here' : ''}: a preview gets what its source holds or its seed writes, and says when it cannot be had`, {
  timeout: WHOLE_MS,
}, async () => {
  const major = tools?.major ?? 17;
  const files = await tinyProject({ database: true, clones: true });
  const config = String(files['.bough/config.yaml']).replace('postgresql:17', `postgresql:${major}`);
  const far = await connectRepository(stage.forge, [stage], {
    name: 'far',
    files: { ...files, '.bough/config.yaml': `${config}  source: { database: { file: far.dump } }\n` },
  });
  const data = async () =>
    (await stage.api.get('/projects/far/data')) as {
      goldens: unknown[];
      failure: { message: string } | null;
    };
  await waitFor('the failure to be shown', async () => (await data()).failure !== null, {
    timeoutMs: READY_MS,
  });
  expect((await data()).failure?.message).toContain('There is no dump far.dump');
  const pull = await far.open('cart');
  await stage.untilReady(pull.slug, pull.commit);
  const empty = await stage.readEnvironment(pull.slug);
  expect(empty?.data.note).toContain('There is no dump far.dump');
  expect(await hookRuns(pull.slug)).toEqual([pull.commit]);
  if (tools !== undefined) {
    await writeDump(join(stage.home, 'dumps/far/far.dump'), major);
    await stage.api.send('POST', '/projects/far/data/refresh');
    await waitFor('the golden of the dump', async () => (await data()).goldens.length === 1, {
      timeoutMs: READY_MS,
    });
    await ask(pull.slug, 'sync', 'ready');
    expect(await hookRuns(pull.slug)).toEqual(['elsewhere', pull.commit]);
  }
  await seedInstead(far, config, pull.slug);
});
