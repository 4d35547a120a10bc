import { randomBytes } from 'node:crypto';
import { Secret } from '@bough/domain/secret';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ensureCredential, findCredential, readCredentials, writeCredential } from '../src/credentials.ts';
import { createPool } from '../src/database.ts';
import { createEncryption } from '../src/encryption.ts';
import { takeLease, writeDesired } from '../src/environments.ts';
import { appendEvent, deleteEvents, listEvents } from '../src/events.ts';
import { findProject, insertProject } from '../src/projects.ts';
import {
  deleteRoutes,
  type EnvironmentRoute,
  listRoutes,
  readRouteTable,
  replaceRoutes,
  routesChannel,
  setRouteState,
} from '../src/routes.ts';
import { deleteVariable, listVariables, readVariables, setVariable } from '../src/variables.ts';
import { examplePreview, exampleProject } from './example-rows.ts';

const encryption = createEncryption({ current: new Secret(randomBytes(32).toString('hex')) });
let database: TestDatabase;
let pool: pg.Pool;
let projectId: string;
let environmentId: string;
let slug: string;
let counter = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, max: 4, applicationName: 'test' });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

beforeEach(async () => {
  counter += 1;
  slug = `pr-7--p${counter}`;
  const project = await insertProject(pool, exampleProject(counter));
  projectId = project.id;
  environmentId = await environment('pull/7', slug);
});

async function environment(subject: string, environmentSlug: string): Promise<string> {
  const { environment: written } = await writeDesired(pool, {
    ...examplePreview(projectId, counter),
    subject,
    slug: environmentSlug,
  });
  return written.id;
}

const revision = async () => (await findProject(pool, projectId))?.variablesRevision;
const flags = { secret: true, atBuild: false, atRun: true, forProduction: true, forPreview: false };

test('variables are encrypted, given to whom they were set for, and raise the revision', async () => {
  await setVariable(pool, encryption, {
    ...flags,
    projectId,
    name: 'KEY',
    value: new Secret('s3cret-value'),
  });
  const atBuild = { ...flags, atBuild: true, atRun: false, forPreview: true, secret: false };
  await setVariable(pool, encryption, { ...atBuild, projectId, name: 'FLAG', value: new Secret('on') });
  expect(await revision()).toBe('2');
  expect((await listVariables(pool, projectId)).map(({ name, secret }) => [name, secret])).toEqual([
    ['FLAG', false],
    ['KEY', true],
  ]);
  const read = async (at: 'build' | 'run', kind: 'production' | 'preview') =>
    (await readVariables(pool, encryption, { projectId, at, kind })).map((found) => [
      found.name,
      found.value.reveal(),
    ]);
  expect(await read('run', 'production')).toEqual([['KEY', 's3cret-value']]);
  expect(await read('run', 'preview')).toEqual([]);
  expect(await read('build', 'preview')).toEqual([['FLAG', 'on']]);
  const { rows } = await pool.query('select value_encrypted from variables');
  expect(rows.some((row) => row.value_encrypted.includes('s3cret-value'))).toBe(false);
});

test('setting a variable again changes it; deleting it is said, and raises the revision once', async () => {
  for (const text of ['one', 'two']) {
    await setVariable(pool, encryption, { ...flags, projectId, name: 'KEY', value: new Secret(text) });
  }
  const of = { projectId, at: 'run', kind: 'production' } as const;
  expect((await readVariables(pool, encryption, of)).map((found) => found.value.reveal())).toEqual(['two']);
  expect(await deleteVariable(pool, { projectId, name: 'KEY' })).toBe(true);
  expect(await deleteVariable(pool, { projectId, name: 'KEY' })).toBe(false);
  expect(await revision()).toBe('3');
});

test('a credential is made once, also for many who ask at once', async () => {
  const name = 'service:database';
  const make = () => new Secret(randomBytes(16).toString('hex'));
  const all = await Promise.all(
    Array.from({ length: 8 }, () => ensureCredential(pool, encryption, { environmentId, name }, make)),
  );
  expect(new Set(all.map((value) => value.reveal())).size).toBe(1);
  const other = { environmentId, name: 'other' };
  expect(await findCredential(pool, encryption, other)).toBeUndefined();
  await writeCredential(pool, encryption, { environmentId, name, value: new Secret('new') });
  const read = await readCredentials(pool, encryption, environmentId);
  expect([...read].map(([key, value]) => [key, value.reveal()])).toEqual([[name, 'new']]);
});

/** As whoever was first to hold it. */
const held = (of = environmentId) => ({ environmentId: of, lease: '0' });

function route(over: Partial<EnvironmentRoute> = {}): EnvironmentRoute {
  return {
    host: `${slug}.localhost`,
    path: '/',
    deploymentId: '12',
    route: 'https://{default}/',
    state: 'serving',
    target: { host: '127.0.0.1', port: 4000 },
    redirect: null,
    access: { kind: 'open' },
    indexable: false,
    isPrimary: true,
    ...over,
  };
}

test('routes are replaced whole, read back by environment and as the gateway table', async () => {
  const www = route({
    host: `www-${slug}.localhost`,
    target: null,
    redirect: { to: 'https://x/', code: 308 },
    access: { kind: 'basic', username: 'u', passwordHash: 'ab' },
    isPrimary: false,
  });
  await replaceRoutes(pool, held(), [route({ host: 'old.localhost' })]);
  await replaceRoutes(pool, held(), [www, route()]);
  expect(await listRoutes(pool, environmentId)).toEqual([route(), www]);
  const table = await readRouteTable(pool, 'http://bough.test/');
  expect(table.routes.filter((found) => found.environmentId === environmentId)).toContainEqual({
    host: `${slug}.localhost`,
    path: '/',
    environmentId,
    environmentSlug: slug,
    projectSlug: `p${counter}`,
    subject: 'pull/7',
    deploymentId: '12',
    state: 'serving',
    target: { host: '127.0.0.1', port: 4000 },
    redirect: null,
    access: { kind: 'open' },
    indexable: false,
    statusUrl: `http://bough.test/environments/${slug}`,
  });
});

test('a host that another environment has is refused, and nothing is lost', async () => {
  await replaceRoutes(pool, held(), [route()]);
  const other = await environment('pull/8', `pr-8--p${counter}`);
  await replaceRoutes(pool, held(other), [route({ host: 'eight.localhost' })]);
  const taken = [route({ host: 'nine.localhost' }), route()];
  await expect(replaceRoutes(pool, held(other), taken)).rejects.toMatchObject({
    code: 'route-taken',
    message: expect.stringContaining(`${slug}.localhost/`),
  });
  expect((await listRoutes(pool, other)).map((found) => found.host)).toEqual(['eight.localhost']);
});

test('every change of routes is announced, and what changes nothing is not', async () => {
  const listener = new pg.Client({ connectionString: database.url });
  await listener.connect();
  const heard: string[] = [];
  listener.on('notification', ({ payload }) => heard.push(payload ?? ''));
  await listener.query(`listen ${routesChannel}`);
  const hear = async (work: Promise<void>): Promise<number> => {
    const before = heard.length;
    await work;
    // Notifications arrive before the answer of a later query on the connection.
    await listener.query('select 1');
    return heard.length - before;
  };
  try {
    expect(await hear(replaceRoutes(pool, held(), [route()]))).toBe(1);
    expect(await hear(setRouteState(pool, held(), 'swapping'))).toBe(1);
    expect(await hear(setRouteState(pool, held(), 'swapping'))).toBe(0);
    expect((await listRoutes(pool, environmentId))[0]?.state).toBe('swapping');
    expect(await hear(deleteRoutes(pool, held()))).toBe(1);
    expect(await hear(deleteRoutes(pool, held()))).toBe(0);
    expect(new Set(heard)).toEqual(new Set([environmentId]));
  } finally {
    await listener.end();
  }
});

test('whoever lost the lease changes no route', async () => {
  await replaceRoutes(pool, held(), [route()]);
  await takeLease(pool, environmentId);
  const late = [
    () => replaceRoutes(pool, held(), [route({ host: 'late.localhost' })]),
    () => setRouteState(pool, held(), 'asleep'),
    () => deleteRoutes(pool, held()),
  ];
  for (const write of late) await expect(write()).rejects.toMatchObject({ why: 'lock-lost' });
  expect(await listRoutes(pool, environmentId)).toEqual([route()]);
});

test('events are listed newest first and forgotten by age', async () => {
  await appendEvent(pool, { projectId, environmentId, actor: 'ada', kind: 'one', detail: { a: 1 } });
  await appendEvent(pool, { projectId, environmentId: null, actor: 'bough', kind: 'two' });
  expect((await listEvents(pool, { projectId })).map((event) => event.kind)).toEqual(['two', 'one']);
  const [mine] = await listEvents(pool, { environmentId });
  expect(mine).toMatchObject({ actor: 'ada', kind: 'one', detail: { a: 1 }, projectId });
  expect(await deleteEvents(pool, new Date(Date.now() + 1_000))).toBe(2);
});
