import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RehearsalView } from '@bough/cli/verbs/views';
import { createSearch, scanFiles } from '@bough/sanitize/scan-files';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findSeries, skipNote } from '../../packages/service/test/find-series.ts';
import { expectNoCaptureLeft, expectNoWorkLeft } from './findings.ts';
import { killCapture } from './kill-capture.ts';
import { connectRepository, openStage, READY_MS, type Repository, type Stage } from './stage.ts';
import { clientFiles, type Files, manifest } from './tiny-project.ts';

const WHOLE_MS = 300_000;
/** In every value of production that nobody may see. */
const SECRET = 'zqxjmraw';
const CUSTOMERS = 12;
const { series, why } = await findSeries('mariadb');

const project = async (source = ''): Promise<Files> => ({
  ...(await clientFiles('mysql2')),
  '.bough/config.yaml': `${manifest({ database: true })
    .replace('database:postgresql', 'database:mysql')
    .replace('postgresql:17', `mariadb:${series}`)}data:
  sanitize:
    ids: keep
    tables:
      customers: { email: email, name: name }
${source}`,
  'database.mjs': `import { createConnection } from 'mysql2/promise';
export async function query(text) {
  const connection = await createConnection(process.env.DATABASE_URL);
  try {
    return (await connection.query(text))[0];
  } finally {
    await connection.end();
  }
}
`,
  'seed.mjs': `import { query } from './database.mjs';
await query('create table if not exists customers (id int primary key auto_increment, email varchar(100) unique, name varchar(100))');
if ((await query('select 1 from customers limit 1')).length === 0)
  await query("insert into customers (email, name) select concat('${SECRET}-', seq, '@corp.de'), concat('${SECRET} person ', seq) from seq_1_to_${CUSTOMERS}");
`,
  'build.sh': 'true\n',
  'hook.sh': 'node seed.mjs\n',
  'start.sh': 'exec node app.mjs\n',
  'app.mjs': `import { createServer } from 'node:http';
import { query } from './database.mjs';
createServer(async (request, response) => {
  try {
    // What a backup holds back to its end: changes of tables, and rows of those that are not InnoDB's.
    if (request.url === '/write') {
      await query('create or replace table plain (id int) engine = aria');
      await query('insert into plain values (1)');
      await query('drop table plain');
    }
    if (request.url === '/address') return response.end(JSON.stringify(process.env.DATABASE_URL));
    const rows = request.url === '/customers' ? await query('select * from customers order by id') : [];
    response.end(JSON.stringify(rows));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
}).listen(Number(process.env.PORT));
`,
});

describe.skipIf(why !== undefined)(`an app with a MariaDB${skipNote(why)}`, () => {
  let stage: Stage;
  let repository: Repository;

  beforeAll(async () => {
    // Not on btrfs: there a running MariaDB needs no backup tool.
    stage = await openStage({ environment: { BOUGH_STORAGE: 'copy' } });
    repository = await connectRepository(stage.forge, [stage], {
      name: 'maria',
      files: await project(),
      production: 'managed',
    });
    await stage.untilReady('maria', repository.head);
  }, WHOLE_MS);
  afterAll(async () => {
    await stage?.close();
  }, 120_000);

  /** On a clone of the golden snapshot, beside the preview. */
  const rehearsalOf = (slug: string) =>
    waitFor(
      `the rehearsal of ${slug}`,
      async () => {
        const id = (await stage.readEnvironment(slug))?.deployment?.id;
        const found = await stage.api
          .get(`/deployments/${id}/rehearsal`)
          .then(RehearsalView.parse, () => undefined);
        return found?.state === 'done' ? found : undefined;
      },
      { timeoutMs: READY_MS, intervalMs: 100 },
    );

  function expectMasked(customers: readonly { id: number; email: string }[]): void {
    expect(customers.map(({ id }) => id)).toEqual(Array.from({ length: CUSTOMERS }, (_, index) => index + 1));
    for (const { email } of customers) expect(email).toMatch(/^u[0-9a-f]{16}@example\.test$/);
    expect(createSearch([Buffer.from(SECRET)]).count(Buffer.from(JSON.stringify(customers)), 0)).toBe(0);
  }

  async function rawBytes(slug: string): Promise<number> {
    const [row] = await stage.query<{ id: string }>('select id::text from environments where slug = $1', [
      slug,
    ]);
    const volumes = join(stage.home, 'volumes/volumes');
    const name = (await readdir(volumes)).find((entry) => entry.includes(`-e${row?.id}-service-database`));
    if (name === undefined) throw new Error(`${slug} has no database`);
    return (await scanFiles(join(volumes, name), [SECRET], AbortSignal.timeout(60_000))).count;
  }

  test('shows a pull request all of production’s rows and none of its values, and loses none to a failing hook', {
    timeout: WHOLE_MS,
  }, async () => {
    expect(await rawBytes('maria')).toBeGreaterThan(CUSTOMERS);
    const held = await stage.holdUp('pr-1--maria', 'during-clone');
    const pull = await repository.open('first', {
      'hook.sh': `node seed.mjs\nnode -e "import('./database.mjs').then(({ query }) => query('create index if not exists by_name on customers (name)'))"\n`,
    });
    await held.reached();
    await stage.bough.kill('worker');
    await held.release();
    await stage.untilReady(pull.slug, pull.commit);
    const customers = await stage.ask<{ id: number; email: string }[]>(pull.slug, '/customers');
    expectMasked(customers);
    expect(await rawBytes(pull.slug)).toBe(0);
    const { verdict, report } = await rehearsalOf(pull.slug);
    expect({ verdict, reasons: report?.reasons }).toEqual({ verdict: 'pass', reasons: [] });
    expect(report?.services.database).toMatchObject({
      schema: { added: ['index customers.by_name btree (name)'], removed: [], changed: [] },
      tables: [{ table: 'customers', touched: true }],
    });

    await repository.push(pull.branch, {
      'hook.sh': `node -e "import('./database.mjs').then(({ query }) => query('drop table customers'))" && exit 3\n`,
    });
    await stage.untilEnvironment(pull.slug, ({ phase }) => phase === 'failed', { mayFail: true });
    await waitFor(
      'the release before to serve the data from before',
      async () => (await stage.visit(pull.slug, '/customers')).body === JSON.stringify(customers),
      { timeoutMs: READY_MS },
    );
    await repository.close(pull.number);
    await stage.untilRemoved(pull.slug);
    await expectNoCaptureLeft(stage, 'maria');
  });

  const deaths = [
    { point: 'backup', program: 'backup --defaults-file' },
    { point: 'masking' },
    { point: 'freezing' },
  ];
  test('a worker that is killed while it captures leaves production free, and nothing to be cloned', {
    timeout: WHOLE_MS,
  }, async () => {
    const states = () =>
      stage.query<{ id: string; state: string }>(
        `select id::text, state from snapshots where state <> 'removed' order by id`,
      );
    const frozen = (await states()).filter(({ state }) => state === 'frozen');
    expect(frozen).not.toEqual([]);
    const [production] = await stage.query<{ id: string }>(
      `select id::text from environments where slug = 'maria'`,
    );
    for (const death of deaths) {
      const at = { ...death, point: `during-${death.point}` };
      await killCapture(stage, { environmentId: production?.id ?? '', ...at });
      expect(await stage.ask('maria', '/write'), death.point).toEqual([]);
      expect(
        (await states()).filter(({ state }) => state === 'frozen'),
        death.point,
      ).toEqual(frozen);
    }
    await waitFor('the dead captures to be settled', async () =>
      (await states()).every(({ state }) => state === 'frozen' || state === 'failed'),
    );
    await expectNoCaptureLeft(stage, 'maria');
    await expectNoWorkLeft(stage);
  });

  test('a production that runs elsewhere is read by its connection string, and masked', {
    timeout: WHOLE_MS,
  }, async () => {
    const far = await connectRepository(stage.forge, [stage], {
      name: 'far',
      files: await project('  source: { database: { secret: FAR_DATABASE } }\n'),
    });
    const data = async () =>
      (await stage.api.get('/projects/far/data')) as {
        goldens: unknown[];
        failure: { message: string } | null;
      };
    await waitFor('the missing secret to be told', async () => (await data()).failure !== null, {
      timeoutMs: READY_MS,
    });
    expect((await data()).failure?.message).toContain('no secret FAR_DATABASE');
    // Elsewhere is the other project's production: a server that serves. Only its own apps know it by name.
    const address = await stage.ask<string>('maria', '/address');
    const value = address.replace('database.internal', '127.0.0.1');
    await stage.api.send('PUT', '/projects/far/variables/FAR_DATABASE', {
      ...{ value, secret: true, build: false, run: true, production: true, preview: false },
    });
    await stage.api.send('POST', '/projects/far/data/refresh');
    await waitFor(
      'the golden of elsewhere',
      async () => {
        const { goldens, failure } = await data();
        expect({ goldens: goldens.length, failure }).toEqual({ goldens: 1, failure: null });
        return true;
      },
      { timeoutMs: READY_MS },
    );
    const pull = await far.open('elsewhere');
    await stage.untilReady(pull.slug, pull.commit);
    expectMasked(await stage.ask(pull.slug, '/customers'));
    expect(await rawBytes(pull.slug)).toBe(0);
    expect(await stage.ask('maria', '/write')).toEqual([]);
  });
});
