import { RehearsalView } from '@bough/cli/verbs/views';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  connectRepository,
  openStage,
  type PullRequest,
  READY_MS,
  type Repository,
  type Stage,
} from './stage.ts';
import { tinyProject } from './tiny-project.ts';

/** A push's migrations on a clone of production's data: what the pull request says, and what is left when it is cut off. */

const TEST_MS = 240_000;

let stage: Stage;
let tiny: Repository;

/** Applies what is not applied yet, in order, as such tools do. */
const migrate = `import { query } from './database.mjs';
import { migrations } from './migrations.mjs';
await query('create table if not exists applied (name text primary key)');
for (const [name, sql] of Object.entries(migrations)) {
  if ((await query('select from applied where name = $1', [name])).length > 0) continue;
  await query(sql);
  await query('insert into applied values ($1)', [name]);
}
`;
const ordersTable =
  "create table orders as select n as id, 'open' as state, n % 100 as shop from generate_series(1, 20000) n; alter table orders add primary key (id)";
const migrationsFile = (more: Readonly<Record<string, string>> = {}) =>
  `export const migrations = ${JSON.stringify({ orders: ordersTable, ...more })};\n`;

/** Its first page needs a column by name. */
const app = (column: string) => `import { createServer } from 'node:http';
import { query } from './database.mjs';
const { BOUGH_COMMIT: commit, BOUGH_DEPLOYMENT: deployment, PORT } = process.env;
createServer(async (request, response) => {
  try {
    await query('select ${column} from orders where id = 1');
    response.end(JSON.stringify({ commit, deployment }));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
}).listen(Number(PORT));
`;

beforeAll(async () => {
  stage = await openStage();
  const files = await tinyProject({ database: true, clones: true, rehearses: true });
  tiny = await connectRepository(stage.forge, [stage], {
    name: 'tiny',
    production: 'managed',
    files: {
      ...files,
      'hook.sh': 'node migrate.mjs\n',
      'migrate.mjs': migrate,
      'migrations.mjs': migrationsFile(),
      'app.mjs': app('state'),
    },
  });
  await stage.untilReady('tiny', tiny.head);
}, TEST_MS);

afterAll(() => stage?.close(), TEST_MS);

/** Of the release that serves the preview. */
async function read(pull: Pick<PullRequest, 'slug'>): Promise<RehearsalView | undefined> {
  const environment = await stage.readEnvironment(pull.slug);
  const id = environment?.deployment?.id;
  if (id === undefined) return undefined;
  return await stage.api.get(`/deployments/${id}/rehearsal`).then(RehearsalView.parse, () => undefined);
}

async function untilDone(pull: PullRequest, commit = pull.commit) {
  await stage.untilReady(pull.slug, commit);
  const view = await waitFor(
    `the rehearsal of ${pull.slug}`,
    async () => {
      const found = await read(pull);
      return found?.state === 'done' ? found : undefined;
    },
    { timeoutMs: READY_MS, intervalMs: 100 },
  );
  if (view.report === null) throw new Error('there is no report');
  return { ...view, report: view.report };
}

async function untilStatus(commit: string, state: string): Promise<string> {
  return waitFor(
    `the rehearsal's status to be ${state}`,
    async () => {
      const { statuses } = await stage.forgeGet<{
        statuses: { context: string; state: string; description: string }[];
      }>(`/repos/${tiny.repo}/commits/${commit}/status`);
      const found = statuses.find(({ context }) => context === 'bough / rehearsal');
      return found?.state === state ? found.description : undefined;
    },
    { timeoutMs: READY_MS, intervalMs: 100 },
  );
}

async function untilComment(pull: PullRequest, words: string): Promise<string> {
  return waitFor(
    `the comment to say "${words}"`,
    async () => {
      const comments = await stage.forgeGet<{ body: string }[]>(
        `/repos/${tiny.repo}/issues/${pull.number}/comments`,
      );
      return comments.map(({ body }) => body).find((body) => body.includes(words));
    },
    { timeoutMs: READY_MS, intervalMs: 100 },
  );
}

async function text(path: string): Promise<string> {
  const lines: string[] = [];
  for await (const line of stage.api.lines(path)) lines.push(line);
  return lines.join('\n');
}

const rehearsalWorkloads = async (slug: string) => {
  const { workloads } = (await stage.api.get(`/environments/${slug}/workloads`)) as {
    workloads: { role: string; name: string }[];
  };
  return workloads.filter(({ role }) => role === 'rehearsal').map(({ name }) => name);
};

/** Asks whoever else is on this machine: the gateway is there for every preview, but not for a rehearsal. */
const knock = () => `node -e "
require('node:http').get('http://127.0.0.1:${stage.gatewayPort}/', () => { console.log('KNOCK answered'); process.exit(0); })
  .on('error', () => console.log('KNOCK alone'))"
`;

test(
  'a harmless migration passes, and the pull request shows what it does',
  async () => {
    const pull = await tiny.open('index', {
      'hook.sh': `${knock()}node migrate.mjs\n`,
      'migrations.mjs': migrationsFile({
        index: 'create index concurrently orders_state on orders (state)',
        note: "alter table orders add note text default 'secret words'",
      }),
    });
    const { verdict, report, reusedId } = await untilDone(pull);
    expect(report.reasons).toEqual([]);
    expect({ verdict, reusedId }).toEqual({ verdict: 'pass', reusedId: null });
    expect([report.hook.verdict, report.again.verdict, report.previous.verdict]).toEqual([
      'pass',
      'pass',
      'pass',
    ]);
    const measured = report.services.database;
    expect(measured?.statements.map(({ text }) => text)).toEqual([
      'create index concurrently orders_state on orders (state)',
      "alter table orders add note text default '…'",
    ]);
    expect(measured?.tables.find(({ table }) => table === 'orders')).toMatchObject({
      rows: 20_000,
      touched: true,
    });
    expect(measured?.schema.added).toContain("column orders.note text default '…'::text");

    const comment = await untilComment(pull, 'Migration rehearsal**: ✅');
    expect(comment).toContain('| `create index concurrently orders_state on orders (state)` |');
    expect(comment).not.toContain('secret words');
    expect(await untilStatus(pull.commit, 'success')).toMatch(/passed|pending/i);

    const { deployment } = await stage.untilReady(pull.slug, pull.commit);
    const log = await text(`/deployments/${deployment?.id}/rehearsal/log`);
    const hookLog = await text(`/deployments/${deployment?.id}/steps/deploy%20hook/log`);
    expect(hookLog).toContain('KNOCK answered');
    expect(log).toContain('KNOCK alone');
    expect(log).not.toContain('KNOCK answered');
    expect(await rehearsalWorkloads(pull.slug)).toEqual([]);

    // The same hook on the same data need not be rehearsed twice.
    await stage.api.send('POST', `/environments/${pull.slug}/actions`, { kind: 'redeploy' });
    const again = await waitFor(
      'the second deployment to take the first result',
      async () => {
        const found = await read(pull);
        return found?.reusedId != null ? found : undefined;
      },
      { timeoutMs: READY_MS, intervalMs: 100 },
    );
    expect(again.verdict).toBe('pass');
    await tiny.close(pull.number);
    await stage.untilRemoved(pull.slug);
  },
  TEST_MS,
);

test(
  'a newer push and a dead worker cut it off, nothing stays behind, and what breaks the release that serves fails',
  async () => {
    const rename = { rename: 'alter table orders rename column state to status' };
    const files = { 'migrations.mjs': migrationsFile(rename), 'app.mjs': app('status') };
    const held = await stage.holdUp('pr-2--tiny', 'during-rehearsal');
    const pull = await tiny.open('rename', files);
    expect(pull.slug).toBe('pr-2--tiny');
    await held.reached();
    const first = (await stage.untilReady(pull.slug, pull.commit)).deployment?.id;
    expect(await rehearsalWorkloads(pull.slug)).toEqual(['rehearsal main database']);

    const commit = await tiny.push(pull.branch, { 'change.txt': 'a second commit\n' });
    await waitFor(
      'the first rehearsal to be given up',
      async () =>
        RehearsalView.parse(await stage.api.get(`/deployments/${first}/rehearsal`)).state === 'aborted',
      { timeoutMs: READY_MS, intervalMs: 100 },
    );
    expect(await untilStatus(pull.commit, 'error')).toMatch(/newer/);

    await stage.untilReady(pull.slug, commit);
    await waitFor(
      'the second rehearsal to be under way',
      async () => (await rehearsalWorkloads(pull.slug)).length > 0,
      { timeoutMs: READY_MS, intervalMs: 100 },
    );
    await stage.bough.kill('worker');
    await held.release();

    const { verdict, report } = await untilDone(pull, commit);
    expect(verdict).toBe('fail');
    expect([report.hook.verdict, report.again.verdict, report.previous.verdict]).toEqual([
      'pass',
      'pass',
      'fail',
    ]);
    expect(report.reasons.join()).toContain(
      'does not work on the migrated data: web answers with status 500',
    );
    expect(report.services.database?.schema).toMatchObject({
      added: ['column orders.status text'],
      removed: ['column orders.state'],
    });
    expect(await untilStatus(commit, 'failure')).toContain('does not work on the migrated data');
    await untilComment(pull, 'Migration rehearsal**: ❌ failed');
    expect(await rehearsalWorkloads(pull.slug)).toEqual([]);
    await tiny.close(pull.number);
    await stage.untilRemoved(pull.slug);
  },
  TEST_MS,
);
