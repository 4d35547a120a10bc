import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openPublicKey } from '@bough/domain/attestation-key';
import { AttestedFacts } from '@bough/reconcile/data/attestation';
import { createSearch, scanFiles } from '@bough/sanitize/scan-files';
import { DataReportView } from '@bough/server/data-report';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commentsOf, expectNoCaptureLeft, expectNoWorkLeft } from './findings.ts';
import { killCapture } from './kill-capture.ts';
import {
  connectRepository,
  openStage,
  type PullRequest,
  READY_MS,
  type Repository,
  type Stage,
} from './stage.ts';
import { type Files, manifest, tinyProject } from './tiny-project.ts';

// One Bough for all of it: what production holds, what its default branch says of it, and whoever wants to see it.

const WHOLE_MS = 300_000;
/** In every value of production that nobody may see. */
const SECRET = 'zqxjraw';
/** Few: an answer that a visitor reads is at most 4 KB. */
const CUSTOMERS = 12;

const rules = (customers = '') => `data:
  sanitize:
    ids: keep
    tables:
      hook_runs: { commit: { keep: "commits are public" } }
      customers: { email: email, name: name, note: free-text${customers} }
    mounts:
      uploads:
        - allow: logo.svg
        - placeholder: "**/*.jpg"
        - drop: "**"
    keys:
      cache:
        - { allow: ["catalog:*", "bull:*"], why: "the catalogue is public" }
        - { allow: "texts:*" }
`;
const MANIFEST = manifest({ database: true })
  .replace('\n    web:\n', '\n    mounts:\n      uploads: { source: storage }\n    web:\n')
  .replace('"database:postgresql"\n', '"database:postgresql"\n      cache: "cache:redis"\n')
  .replace('\nservices:\n', '\nservices:\n  cache:\n    type: redis:7.0\n');
const withData = (data: string): Files => ({
  '.bough/config.yaml': `${MANIFEST}${data}`,
});
const NO_RULES = withData('data:\n  sanitize: none\n');

/** Production's rows; where customers are already, whatever copied them, none are added. */
const SEED = `import { query } from './database.mjs';
await query('create table if not exists customers (id serial primary key, email text unique, name text, note text)');
if ((await query('select from customers limit 1')).length === 0 && !process.env.BOUGH_ENVIRONMENT.startsWith('pr-'))
  await query(\`insert into customers (email, name, note) select '${SECRET}-' || i || '@corp.de', '${SECRET} person ' || i,
    '${SECRET} ' || repeat('very private ', 3) || i from generate_series(1, ${CUSTOMERS}) i\`);
if (!process.env.BOUGH_ENVIRONMENT.startsWith('pr-')) {
  const { mkdir, writeFile } = await import('node:fs/promises');
  await mkdir('uploads/people', { recursive: true });
  await writeFile('uploads/logo.svg', '<svg/>');
  await writeFile('uploads/people/1.jpg', '${SECRET} '.repeat(100));
  await writeFile('uploads/people/${SECRET}.pdf', '${SECRET}');
  const { redis } = await import('./redis.mjs');
  await redis('HSET catalog:1 name pot', 'EXPIRE catalog:1 100000', 'HSET session:${SECRET} user ${SECRET}@corp.de',
    'SET user:1:${SECRET} ${SECRET}', 'HSET bull:mail:7 data ${SECRET}', 'RPUSH bull:mail:wait 7 ${SECRET}');
}
`;
/** Commands in, replies out, as they are on the wire. */
const REDIS = `import { connect } from 'node:net';
export const redis = (...lines) => new Promise((resolve, reject) => {
  const socket = connect(Number(process.env.CACHE_PORT), process.env.CACHE_HOST);
  let text = '';
  socket.on('data', (chunk) => { text += chunk; }).on('error', reject).on('close', () => resolve(text));
  socket.write(['AUTH ' + process.env.CACHE_PASSWORD, ...lines, 'QUIT', ''].join('\\r\\n'));
});
`;
const APP = `import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { query } from './database.mjs';
import { redis } from './redis.mjs';
const answers = {
  '/keys': async () => (await redis('KEYS *', 'TYPE catalog:1', 'TTL catalog:1', 'HGETALL catalog:1')).split('\\r\\n'),
  '/files': () => readdirSync('uploads', { recursive: true }).sort(),
  '/customers': () => query('select * from customers order by id'),
  // As the parent sees a backup: its slot, its connection.
  '/backups': () => query("select (select count(*) from pg_replication_slots) + (select count(*) from pg_stat_activity where application_name = 'bough') as count"),
  '/alter': () => query('create table if not exists plain (id int primary key)'),
  '/write': () => query("insert into hook_runs (commit) values ('a write') returning id"),
};
createServer(async (request, response) => {
  try {
    const answer = await (answers[request.url] ?? (() => ({})))();
    response.end(JSON.stringify(answer));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
}).listen(Number(process.env.PORT));
`;

let stage: Stage;
let repository: Repository;
let productionId: string;

beforeAll(async () => {
  // Not on btrfs: there a capture needs no backup mode.
  stage = await openStage({ environment: { BOUGH_BUILDS: '4', BOUGH_STORAGE: 'copy' } });
  repository = await connectRepository(stage.forge, [stage], {
    name: 'proof',
    files: {
      ...(await tinyProject({ database: true })),
      ...withData(rules()),
      'seed.mjs': SEED,
      'app.mjs': APP,
      'redis.mjs': REDIS,
      'hook.sh': 'node seed.mjs && node note-run.mjs\n',
    },
    production: 'managed',
  });
  await stage.untilReady('proof', repository.head);
  const [row] = await stage.query<{ id: string }>(`select id::text from environments where slug = 'proof'`);
  productionId = row?.id ?? '';
  await untilFrozen(1);
}, WHOLE_MS);

afterAll(async () => {
  await stage?.close();
}, 120_000);

interface Row {
  readonly id: string;
  readonly state: string;
  readonly failureCode: string | null;
  readonly failures: number;
  readonly why: string | null;
}

/** The snapshots of production that are there, newest first. */
function snapshots(): Promise<Row[]> {
  return stage.query<Row>(
    `select id::text, state, failure_code as "failureCode", failures, why from snapshots where state <> 'removed' order by snapshots.id desc`,
  );
}

async function untilFrozen(count: number): Promise<void> {
  await waitFor(
    `${count} golden snapshots`,
    async () => (await snapshots()).filter(({ state }) => state === 'frozen').length >= count,
    { timeoutMs: READY_MS, intervalMs: 100 },
  );
}

describe('a worker is killed while it captures production', () => {
  const points = ['keys', 'backup', 'masking', 'files', 'scrubbing', 'verifying', 'freezing'];

  test.each(points)(
    'in %s: production serves and writes, outside of any backup',
    { timeout: WHOLE_MS },
    async (point) => {
      const frozen = (await snapshots()).filter(({ state }) => state === 'frozen');
      await killCapture(stage, { environmentId: productionId, point: `during-${point}` });
      await waitFor('the parent to be out of backup mode', async () => {
        const [{ count } = { count: '?' }] = await stage.ask<{ count: string }[]>('proof', '/backups');
        return Number(count) === 0;
      });
      expect(await stage.ask('proof', '/write')).toHaveLength(1);
      // What it had made is not one that could be cloned.
      expect((await snapshots()).filter(({ state }) => state === 'frozen')).toEqual(frozen);
    },
  );

  test('nothing of them is left, and the next one finishes', { timeout: WHOLE_MS }, async () => {
    await waitFor('the dead captures to be settled', async () =>
      (await snapshots()).every(({ state }) => state === 'frozen' || state === 'failed'),
    );
    // However often it died: one row, that counts.
    expect((await snapshots()).filter(({ state }) => state === 'failed')).toMatchObject([
      { failureCode: 'capture-died', failures: points.length },
    ]);
    await stage.api.send('POST', '/environments/proof/data/refresh');
    await untilFrozen(2);
    await waitFor('the failure to be forgotten', async () =>
      (await snapshots()).every(({ state }) => state === 'frozen'),
    );
    await expectNoCaptureLeft(stage, 'proof');
  });

  test('its report is signed, and says of its files what they are', async () => {
    const kept = DataReportView.parse(await stage.api.get('/projects/proof/data/report'));
    expect(kept).toMatchObject({ state: 'frozen', fault: null });
    const service = kept.report?.services.database;
    expect(service).toMatchObject({
      canaries: { found: 0 },
      samples: { found: 0 },
      byteScan: { hits: 0 },
      decisions: expect.arrayContaining([{ where: 'customers.email', rule: 'email' }]),
    });
    expect(service?.canaries.planted).toBeGreaterThan(0);
    expect(kept.report?.keys?.cache).toMatchObject({
      ...{ kept: 1, queues: 2, scanned: 5, byteScan: { hits: 0 }, samples: { found: 0 } },
      patterns: [
        { allow: 'catalog:*', keys: 1 },
        { allow: 'bull:*', keys: 0 },
        { allow: 'texts:*', keys: 0 },
      ],
    });
    expect(kept.report?.keys?.cache?.samples.taken).toBeGreaterThan(0);
    const facts = AttestedFacts.parse(kept.attestation.facts);
    const id = facts.volumes['service:database']?.snapshotId ?? '';
    const files = join(stage.home, 'volumes/snapshots', id, 'data');
    expect((await scanFiles(files, [SECRET], AbortSignal.timeout(60_000))).digest).toBe(service?.filesDigest);
    const { keys } = (await stage.api.get('/attestation-keys')) as { keys: { publicKey: string }[] };
    const key = openPublicKey(keys[0]?.publicKey ?? '');
    expect(key.isSignatureOf(kept.text, kept.attestation.signature)).toBe(true);
  });
});

/** Every file of a volume of a preview. */
async function volumeOf(slug: string, volume: string): Promise<string> {
  const [row] = await stage.query<{ id: string }>('select id::text from environments where slug = $1', [
    slug,
  ]);
  const volumes = join(stage.home, 'volumes/volumes');
  const name = (await readdir(volumes)).find((entry) => entry.includes(`-e${row?.id}-${volume}`));
  if (name === undefined) throw new Error(`${slug} has no ${volume}`);
  return join(volumes, name);
}

async function rawBytes(
  slug: string,
  volume = 'service-database',
): Promise<{ count: number; hits: readonly string[] }> {
  return scanFiles(await volumeOf(slug, volume), [SECRET], AbortSignal.timeout(60_000));
}

async function expectMasked(slug: string): Promise<void> {
  const customers = await stage.ask<Record<string, unknown>[]>(slug, '/customers');
  expect(customers, slug).toHaveLength(CUSTOMERS);
  expect(createSearch([Buffer.from(SECRET)]).count(Buffer.from(JSON.stringify(customers)), 0)).toBe(0);
  for (const { email } of customers) expect(email).toMatch(/^u[0-9a-f]{16}@example\.test$/);
  expect(await rawBytes(slug), slug).toMatchObject({ count: 0, hits: [] });
  expect(await stage.ask(slug, '/files'), slug).toEqual(['logo.svg', 'people', 'people/1.jpg']);
  expect(await rawBytes(slug, 'mount-web-uploads'), slug).toMatchObject({ count: 0, hits: [] });
  const [, names, , key, type, ttl, ...fields] = await stage.ask<string[]>(slug, '/keys');
  expect([names, key, type, fields.join()], slug).toEqual([
    ...['*1', 'catalog:1', '+hash'],
    expect.stringContaining('name,$3,pot'),
  ]);
  expect(Number(ttl?.slice(1)), slug).toBeGreaterThan(0);
  expect(await rawBytes(slug, 'service-cache'), slug).toMatchObject({ count: 0, hits: [] });
}

async function untilComment(pull: PullRequest, wanted: (body: string) => boolean): Promise<string> {
  return await waitFor(
    `the comment on ${pull.slug}`,
    async () => (await commentsOf(stage, repository, pull.number)).find(wanted),
    { timeoutMs: READY_MS, intervalMs: 200 },
  );
}

describe('a pull request cannot see raw data', () => {
  const pulls: PullRequest[] = [];

  async function openOn(base: string, branch: string, files: Files): Promise<PullRequest> {
    const { repo } = repository;
    const content = { ...files, 'branch.txt': `${branch}\n` };
    const commit = await stage.forge.commit({
      repo,
      branch,
      from: base,
      files: content,
      message: branch,
      user: 'robin',
    });
    const number = await stage.forge.openPullRequest({
      repo,
      head: branch,
      base,
      title: branch,
      user: 'robin',
    });
    return { number, commit, branch, slug: `pr-${number}--proof` };
  }

  test('production’s own files hold it, so that this can fail', async () => {
    expect((await rawBytes('proof')).count).toBeGreaterThan(CUSTOMERS * 3);
    expect((await rawBytes('proof', 'mount-web-uploads')).count).toBeGreaterThan(100);
  });

  test('whatever its branch or its base say, and when its clone is cut short', {
    timeout: WHOLE_MS,
  }, async () => {
    // By hand, without a deployment: the next thorough look sees it.
    await stage.ask('proof', '/alter');
    const held = await stage.holdUp('pr-1--proof', 'during-clone');
    pulls.push(await openOn('main', 'edits-the-rules', NO_RULES));
    await held.reached();
    await stage.bough.kill('worker');
    await held.release();
    await stage.forge.commit({
      repo: repository.repo,
      branch: 'lax',
      from: 'main',
      files: NO_RULES,
      message: 'Everything raw',
      user: 'robin',
    });
    pulls.push(
      await openOn('main', 'deletes-the-rules', withData('')),
      await openOn('lax', 'stacked', {}),
      await openOn('main', 'retargeted', NO_RULES),
      await openOn('main', 'adds-a-column', {
        'hook.sh': `node note-run.mjs && node -e "import('./database.mjs').then(({ query }) => query('alter table customers add column if not exists phone text'))"\n`,
      }),
    );
    await stage.forge.editPullRequest({ repo: repository.repo, number: 4, base: 'lax', by: 'robin' });
    for (const pull of pulls) await stage.untilReady(pull.slug, pull.commit);
    for (const pull of pulls) await expectMasked(pull.slug);
    for (const pull of pulls) {
      const body = await untilComment(pull, (comment) => comment.includes('Preview is ready'));
      expect(body).toContain(
        'cache has 1 key of 1 pattern, 2 patterns matched nothing, 2 left out as queues',
      );
      expect(body).toMatch(/\[sanitized and verified\]\(http:[^)]*\/goldens\/\d+\)/);
    }
    expect((await stage.ask<object[]>('pr-5--proof', '/customers'))[0]).toHaveProperty('phone', null);
    await waitFor(
      'a golden of the schema as it is now',
      async () => (await snapshots())[0]?.why === 'the schema of production changed',
      { timeoutMs: READY_MS },
    );
  });

  test('a column that nobody decided: the golden before it is used, and the comment has the rule', {
    timeout: WHOLE_MS,
  }, async () => {
    const commit = await repository.push('main', {
      'hook.sh': `node seed.mjs && node note-run.mjs && node -e "import('./database.mjs').then(async ({ query }) => {
        await query('alter table customers add column if not exists mobile text');
        await query('update customers set mobile = \\'+49 170 \\' || (1000000 + id) || \\' ${SECRET}\\'');
      })"\n`,
    });
    await stage.untilReady('proof', commit);
    await waitFor(
      'the capture to be refused',
      async () => (await snapshots()).some(({ failureCode }) => failureCode === 'data-not-sanitized'),
      { timeoutMs: READY_MS },
    );
    const pull = await openOn('main', 'after-the-column', { 'hook.sh': 'node note-run.mjs\n' });
    await stage.untilReady(pull.slug, pull.commit);
    await expectMasked(pull.slug);
    expect((await stage.ask<object[]>(pull.slug, '/customers'))[0]).not.toHaveProperty('mobile');
    for (const told of [pull, ...pulls.slice(0, 1)]) {
      const body = await untilComment(told, (comment) => comment.includes('could not be captured since'));
      expect(body).toContain('customers.mobile');
      expect(body).toContain('tables: { customers: { mobile: phone } }');
    }
    const why = (await stage.api.get(`/environments/${pull.slug}/why`)) as { capture: object };
    expect(why.capture).toMatchObject({ failures: 1, message: expect.stringContaining('customers.mobile') });
  });

  test('rules that no golden was made under: it comes up without data, and the comment has the rule', {
    timeout: WHOLE_MS,
  }, async () => {
    const other = await repository.push('main', withData(rules(', "secret_*": hash')));
    await stage.untilReady('proof', other);
    await waitFor(
      'the capture to be refused again',
      async () => {
        const [newest] = await snapshots();
        return newest?.state === 'failed' && newest.failures === 2;
      },
      { timeoutMs: READY_MS },
    );
    const pull = await openOn('main', 'without-a-golden', {
      'hook.sh': 'node seed.mjs && node note-run.mjs\n',
    });
    await stage.untilReady(pull.slug, pull.commit);
    expect(await stage.ask(pull.slug, '/customers')).toEqual([]);
    expect(await rawBytes(pull.slug)).toMatchObject({ count: 0 });
    expect((await stage.ask<string[]>(pull.slug, '/keys'))[1]).toBe('*0');
    const body = await untilComment(pull, (comment) => comment.includes('services start empty'));
    expect(body).toContain('tables: { customers: { mobile: phone } }');

    await expectNoWorkLeft(stage);
    await expectNoCaptureLeft(stage, 'proof');
  });
});
