import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openHome } from '@bough/boot/home';
import { Secret } from '@bough/domain/secret';
import { createEncryption } from '@bough/store/encryption';
import { createTempHome, type TempHome } from '@bough/testkit/temp-home';
import { createTestDatabase, migrationsDirectory, type TestDatabase } from '@bough/testkit/test-database';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBackup } from '../src/backup/create-backup.ts';
import { restoreBackup } from '../src/backup/restore-backup.ts';
import type { WhatIsHere } from '../src/backup/settle-restored.ts';

let folder: TempHome;
let from: TestDatabase;
let to: TestDatabase;

beforeEach(async () => {
  folder = await createTempHome('backup');
  [from, to] = await Promise.all([createTestDatabase(), createTestDatabase()]);
});
afterEach(async () => {
  await Promise.all([from.drop(), to.drop()]);
  await folder.remove();
});

const home = (name: string) => openHome({ path: join(folder.path, name) });
const VOLUMES = [
  { id: 'v-1', environmentId: '1' },
  { id: 'v-2', environmentId: '2' },
];
const EVERYTHING: WhatIsHere = { volumes: VOLUMES, snapshots: new Set(['s-1']), artifacts: new Set(['k1']) };
const NOTHING: WhatIsHere = { volumes: [], snapshots: new Set(), artifacts: new Set() };

async function ask(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** A production and a preview with a release, whose ids are not the first ones, and values of every awkward type. */
async function fill(masterKey: Secret): Promise<void> {
  const value = createEncryption({ current: masterKey }).encrypt(new Secret('hush "quoted"\n'), 'variable');
  await ask(
    from.url,
    `insert into projects (id, installation_id, forge, forge_host, repository_id, owner, name, slug, default_branch, entropy)
     overriding system value values (7, 'i1', 'github', 'github.com', 9007199254740993, 'acme', 'shop', 'shop', 'main', 'e')`,
  );
  await ask(
    from.url,
    `insert into variables (project_id, name, value_encrypted, secret, at_build, at_run, for_production, for_preview)
     values (7, 'TOKEN', $1, true, false, true, true, false)`,
    [value],
  );
  await ask(
    from.url,
    `insert into deliveries (forge, delivery_id, event, subjects, payload)
     select 'github', n::text, 'push', array['pull/7', 'with "quotes", commas'], jsonb_build_object('text', E'a\\nb\\\\ü', 'n', n)
     from generate_series(1, 450) n`,
  );
  await ask(
    from.url,
    `insert into environments (id, project_id, installation_id, subject, slug, kind, desired_commit, data_state, release_deployment_id)
     overriding system value values
       (1, 7, 'i1', 'production', 'shop', 'production', 'c0', 'own', 11),
       (2, 7, 'i1', 'pull/7', 'pr-7--shop', 'preview', 'c1', 'cloned', 12)`,
  );
  await ask(
    from.url,
    `insert into deployments (id, environment_id, generation, commit, state) overriding system value
     values (11, 1, 1, 'c0', 'ready'), (12, 2, 1, 'c1', 'ready')`,
  );
  await ask(
    from.url,
    `insert into deployment_artifacts values (11, 'app', 'k1', false), (12, 'app', 'k1', true)`,
  );
  await ask(
    from.url,
    `insert into snapshots (project_id, environment_id, state, sanitize, volumes)
     values (7, 1, 'frozen', 'none', '{"service:database": {"snapshotId": "s-1", "type": "postgresql:17", "version": "17.4"}}')`,
  );
}

/** Every table's rows as Postgres itself prints them. */
async function everything(url: string): Promise<Record<string, unknown>> {
  const tables = await ask(
    url,
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> 'migrations'`,
  );
  const all: Record<string, unknown> = {};
  for (const { name } of tables) {
    all[String(name)] = await ask(url, `select t::text from "${name}" t order by 1`);
  }
  return all;
}

async function backup(): Promise<{ file: string; masterKey: Secret }> {
  const old = await home('old');
  await fill(old.masterKey);
  const file = join(folder.path, 'bough.backup');
  await createBackup({ home: old, databaseUrl: from.url, volumes: VOLUMES, file });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  return { file, masterKey: old.masterKey };
}

async function restore(file: string, here: WhatIsHere, withoutData = false) {
  const theirs = (await home('old')).installationId;
  return await restoreBackup({
    home: await home('new'),
    databaseUrl: to.url,
    file,
    migrationsDirectory,
    look: async (id) => (id === theirs ? here : NOTHING),
    withoutData,
  });
}

test('a restored database has every row, its keys read its secrets, and new rows go on behind the old ones', async () => {
  const { file, masterKey } = await backup();
  const { settled } = await restore(file, EVERYTHING);
  expect(settled).toEqual({ lostVolumes: [], redeployed: 0 });
  const before = await everything(from.url);
  expect(await everything(to.url)).toEqual(before);
  expect(before.deliveries).toHaveLength(450);

  const there = await home('new');
  expect(there.installationId).toBe((await home('old')).installationId);
  expect(there.masterKey.reveal()).toBe(masterKey.reveal());
  const [row] = await ask(to.url, 'select value_encrypted from variables');
  const value = row?.value_encrypted as Buffer;
  expect(createEncryption({ current: there.masterKey }).decrypt(value, 'variable').reveal()).toBe(
    'hush "quoted"\n',
  );
  const [next] = await ask(
    to.url,
    `insert into deployments (environment_id, generation, commit) values (1, 2, 'c2') returning id::int`,
  );
  expect(next?.id).toBeGreaterThan(12);
  await expect(
    ask(to.url, `insert into deployments (environment_id, generation, commit) values (99, 1, 'c')`),
  ).rejects.toThrow('foreign key');
});

test('volumes that are gone are said, and nothing is restored until a person agrees', async () => {
  const { file } = await backup();
  const here = { ...EVERYTHING, volumes: [], snapshots: new Set<string>() };
  await expect(restore(file, here)).rejects.toMatchObject({
    code: 'restore-without-data',
    message: expect.stringContaining('shop, pr-7--shop'),
  });
  expect(await ask(to.url, 'select 1 from projects')).toEqual([]);

  const { settled } = await restore(file, here, true);
  expect(settled).toEqual({ lostVolumes: ['shop', 'pr-7--shop'], redeployed: 2 });
  expect(await ask(to.url, 'select data_state, generation::int from environments order by id')).toEqual([
    { data_state: 'undecided', generation: 2 },
    { data_state: 'undecided', generation: 2 },
  ]);
  expect(await ask(to.url, 'select state from snapshots')).toEqual([{ state: 'removed' }]);
});

test('what lost its artifact is deployed anew', async () => {
  const { file } = await backup();
  const { settled } = await restore(file, { ...EVERYTHING, artifacts: new Set() });
  expect(settled).toEqual({ lostVolumes: [], redeployed: 2 });
});

test('a home with the volumes of another installation is refused', async () => {
  const { file } = await backup();
  const there = await home('new');
  const restoring = restoreBackup({
    ...{ home: there, databaseUrl: to.url, file, migrationsDirectory, withoutData: false },
    look: async (id) => (id === there.installationId ? EVERYTHING : NOTHING),
  });
  await expect(restoring).rejects.toMatchObject({
    code: 'restore-occupied',
    message: expect.stringContaining(there.installationId),
  });
});

test('a database with projects, a foreign file and a damaged backup are refused', async () => {
  const { file } = await backup();
  await restore(file, EVERYTHING);
  await expect(restore(file, EVERYTHING)).rejects.toMatchObject({ code: 'restore-occupied' });

  const other = join(folder.path, 'other');
  await writeFile(other, 'no archive');
  await expect(restore(other, EVERYTHING)).rejects.toMatchObject({ code: 'backup-unreadable' });
  const cut = (await readFile(file)).subarray(0, 400);
  await writeFile(other, cut);
  await expect(restore(other, EVERYTHING)).rejects.toMatchObject({ code: 'backup-unreadable' });
});
