import { randomBytes } from 'node:crypto';
import { redisCommand } from '@bough/boot/redis-command';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { postWebhook } from './burst.ts';
import {
  commentsOf,
  expectDeployedOnce,
  expectNoWorkLeft,
  expectReported,
  forgeDeployments,
  processesOfEnvironment,
  sweep,
} from './findings.ts';
import { createGate, type Gate } from './gate.ts';
import {
  connectRepository,
  openStage,
  type PullRequest,
  READY_MS,
  type Repository,
  type Stage,
} from './stage.ts';
import { tinyProject } from './tiny-project.ts';

const WHOLE_MS = 240_000;
/** DESIGN §5 says a second; the rest is for a machine that has other things to do. */
const STOPS_WITHIN_MS = 2_000;

const webhookSecret = randomBytes(24).toString('hex');

let gate: Gate;
let stage: Stage;
let repository: Repository;

beforeAll(async () => {
  gate = await createGate(READY_MS);
  // One build at a time: whoever comes second waits.
  stage = await openStage({
    environment: {
      BOUGH_BUILDS: '1',
      GITHUB_WEBHOOK_SECRET: webhookSecret,
      // Longer than anybody here waits for anything: what a forge holds up is held up until the test lets go.
      BOUGH_FORGE_TIMEOUT_SECONDS: '60',
    },
  });
  const files = await tinyProject({ gateUrl: gate.url });
  repository = await connectRepository(stage.forge, [stage], { name: 'tiny', files });
}, WHOLE_MS);

afterEach(() => {
  stage.forge.faults.clear();
  gate.openAll();
});

afterAll(async () => {
  await stage?.close();
  await gate?.close();
}, 120_000);

/** A preview whose build, deploy hook or app waits at a gate of that name. */
function openAtGate(
  name: string,
  place: 'build' | 'hook' | 'app' | 'nowhere' = 'build',
): Promise<PullRequest> {
  const knock = `node gate.mjs ${name}\n`;
  return repository.open(name, {
    ...(place === 'build' ? { 'build.sh': knock } : {}),
    ...(place === 'hook' ? { 'hook.sh': knock } : {}),
    ...(place === 'app' ? { 'start.sh': `${knock}exec node app.mjs\n` } : {}),
  });
}

async function remove(pull: PullRequest): Promise<void> {
  await repository.close(pull.number);
  await stage.untilRemoved(pull.slug);
  await sweep(stage, repository, pull);
}

async function idOf(pull: PullRequest): Promise<string> {
  const environment = await stage.readEnvironment(pull.slug);
  if (environment === undefined) throw new Error(`there is no ${pull.slug}`);
  return environment.id;
}

async function deliveriesOf(pull: PullRequest, action: string): Promise<string[]> {
  const rows = await stage.query<{ fate: string }>(
    `select fate from deliveries where event = 'pull_request' and action = $1 and $2 = any (subjects)`,
    [action, `pull/${pull.number}`],
  );
  return rows.map(({ fate }) => fate);
}

test('lost webhooks: resync makes what was opened and removes what was closed', {
  timeout: WHOLE_MS,
}, async () => {
  stage.forge.faults.set({ dropEvents: ['pull_request.opened'], times: 1 });
  const pull = await openAtGate('lost', 'nowhere');
  await stage.untilReady(pull.slug, pull.commit);
  expect(await deliveriesOf(pull, 'opened')).toEqual([]);
  await expectReported(stage, repository, pull);

  stage.forge.faults.set({ dropEvents: ['pull_request.closed'], times: 1 });
  await remove(pull);
  expect(await deliveriesOf(pull, 'closed')).toEqual([]);
});

test('an emptied Redis loses nothing', { timeout: WHOLE_MS }, async () => {
  const building = await openAtGate('flushed');
  await gate.reached('flushed');
  // Waits for the build slot: all that will wake it is a delayed job.
  const waiting = await repository.open('waits-for-slot');
  await stage.untilEnvironment(waiting.slug, (row) => row.waitingReason !== null);
  const worker = await stage.bough.pidOf('worker');
  if (worker === undefined) throw new Error('there is no worker');
  process.kill(worker, 'SIGSTOP');
  let unseen: PullRequest;
  try {
    unseen = await repository.open('unseen');
    await waitFor(
      'the delivery to be queued',
      async () => (await deliveriesOf(unseen, 'opened')).length > 0,
      {
        timeoutMs: READY_MS,
      },
    );
    await stage.forge.settled();
    expect(await redisCommand(await stage.bough.redisUrl(), ['FLUSHALL'])).toBe('OK');
  } finally {
    process.kill(worker, 'SIGCONT');
  }
  gate.open('flushed');
  for (const pull of [building, waiting, unseen]) {
    await stage.untilReady(pull.slug, pull.commit);
    await expectDeployedOnce(stage, pull);
    await expectReported(stage, repository, pull);
  }
  for (const pull of [building, waiting, unseen]) await remove(pull);
});

test('closing during a build stops it and leaves nothing', { timeout: WHOLE_MS }, async () => {
  const pull = await openAtGate('closed-while-building');
  await gate.reached('closed-while-building');
  const id = await idOf(pull);
  await repository.close(pull.number);
  await waitFor('Bough to know', async () => {
    const [row] = await stage.query<{ state: string }>(
      'select desired_state as state from environments where id = $1',
      [id],
    );
    return row?.state === 'absent';
  });
  const knownAt = performance.now();
  expect((await gate.left('closed-while-building')) - knownAt).toBeLessThan(STOPS_WITHIN_MS);
  await stage.untilRemoved(pull.slug);
  await sweep(stage, repository, pull);
  await expectNoWorkLeft(stage);
});

test('of three quick pushes only the newest is deployed', { timeout: WHOLE_MS }, async () => {
  const pull = await repository.open('pushes');
  await stage.untilReady(pull.slug, pull.commit);
  const served: string[] = [];
  let watching = true;
  const watch = (async () => {
    while (watching) {
      const answer = await stage.visit(pull.slug);
      const { commit } =
        answer.status === 200
          ? (JSON.parse(answer.body) as { commit: string })
          : { commit: `${answer.status}` };
      if (served.at(-1) !== commit) served.push(commit);
    }
  })();
  try {
    const first = await repository.push(pull.branch, { 'build.sh': 'node gate.mjs never\n' });
    await gate.reached('never');
    const second = await repository.push(pull.branch, { 'change.txt': '2' });
    const third = await repository.push(pull.branch, {
      'change.txt': '3',
      'build.sh': 'echo built >built.txt\n',
    });
    await stage.untilReady(pull.slug, third);
    await waitFor('the newest to be served', () => served.at(-1) === third);
    const deployments = await stage.query<{ commit: string; state: string }>(
      'select commit, state from deployments where environment_id = $1 order by id',
      [await idOf(pull)],
    );
    expect(deployments.filter(({ state }) => state === 'ready').map(({ commit }) => commit)).toEqual([
      pull.commit,
      third,
    ]);
    for (const { commit, state } of deployments) {
      if (commit === first || commit === second) expect(state).toBe('superseded');
    }
    expect(gate.waiting('never')).toBe(0);
    await waitFor(
      'the forge to show one active deployment',
      async () => {
        const states = await Promise.all(
          [pull.commit, first, second, third].map((sha) => forgeDeployments(stage, repository, { sha })),
        );
        const active = states.flat().filter(({ state }) => state !== 'inactive');
        expect(active.map(({ sha, state }) => ({ sha, state }))).toEqual([{ sha: third, state: 'success' }]);
        return true;
      },
      { timeoutMs: 30_000, intervalMs: 200 },
    );
  } finally {
    watching = false;
    await watch;
  }
  // Each commit once, no older one after a newer, and no error in between.
  expect(served).toEqual([pull.commit, served.at(-1)]);
  await remove(pull);
});

describe("losing the lock's connection stops the step at once, and the preview becomes ready once", () => {
  async function loseLock(pull: PullRequest): Promise<number> {
    const killedAt = performance.now();
    const killed = await stage.query<{ killed: boolean }>(
      'select pg_terminate_backend(pid) as killed from pg_stat_activity where application_name = $1',
      [`bough lock ${await idOf(pull)}`],
    );
    expect(killed).toEqual([{ killed: true }]);
    return killedAt;
  }

  test('in the deploy hook', { timeout: WHOLE_MS }, async () => {
    const pull = await openAtGate('lock-hook', 'hook');
    await gate.reached('lock-hook');
    const killedAt = await loseLock(pull);
    expect((await gate.left('lock-hook')) - killedAt).toBeLessThan(STOPS_WITHIN_MS);
    gate.open('lock-hook');
    await stage.untilReady(pull.slug, pull.commit);
    await expectDeployedOnce(stage, pull);
    await remove(pull);
  });

  test('in the release', { timeout: WHOLE_MS }, async () => {
    const pull = await openAtGate('lock-release', 'app');
    await gate.reached('lock-release');
    const id = await idOf(pull);
    const attempts = async () => {
      const [row] = await stage.query<{ lease: string }>('select lease from environments where id = $1', [
        id,
      ]);
      return Number(row?.lease);
    };
    const before = await attempts();
    const killedAt = await loseLock(pull);
    // The next attempt begins when this one has stopped.
    await waitFor('the step to stop', async () => (await attempts()) > before);
    expect(performance.now() - killedAt).toBeLessThan(STOPS_WITHIN_MS);
    gate.open('lock-release');
    await stage.untilReady(pull.slug, pull.commit);
    await expectDeployedOnce(stage, pull);
    await remove(pull);
  });
});

test('an unreachable forge keeps no preview from being ready; the comment comes later', {
  timeout: WHOLE_MS,
}, async () => {
  for (const match of ['POST /repos/*', 'PATCH /repos/*']) stage.forge.faults.set({ match, status: 502 });
  const pull = await repository.open('silent');
  await stage.untilReady(pull.slug, pull.commit);
  expect(await commentsOf(stage, repository, pull.number)).toEqual([]);
  stage.forge.faults.clear();
  // The first answers are lost on the way: the forge has done what it was asked for, and nobody knows.
  stage.forge.faults.set({ match: 'POST /repos/*/comments', disconnect: 'after', times: 1 });
  stage.forge.faults.set({ match: 'POST /repos/*/deployments', disconnect: 'after', times: 1 });
  await expectReported(stage, repository, pull);
  stage.forge.faults.clear();
  await remove(pull);
});

test('a forge that answers nothing about one repository: webhooks are taken, and the others go on', {
  timeout: WHOLE_MS,
}, async () => {
  const other = await connectRepository(stage.forge, [stage], { name: 'other', files: await tinyProject() });
  const { id } = await stage.forgeGet<{ id: number }>(`/repos/${repository.repo}`);
  const running = await repository.open('runs-meanwhile');
  await stage.untilReady(running.slug, running.commit);
  await expectReported(stage, repository, running);
  for (const match of [`* /repos/${repository.repo}*`, `GIT /${repository.repo}/*`])
    stage.forge.faults.set({ match, hang: true });
  const newest = await repository.push(running.branch, { 'change.txt': 'while the forge is silent' });
  // More than are looked at at once. There is no such pull request, which nobody can know yet.
  const webhooks = Array.from({ length: 24 }, (_, index) => {
    const pull = { number: 1_000 + index, head: { sha: newest } };
    return postWebhook(stage, webhookSecret, {
      ...{ action: 'opened', number: pull.number, pull_request: pull },
      repository: { id, name: repository.name, owner: { login: 'acme' } },
    });
  });
  expect(new Set(await Promise.all(webhooks))).toEqual(new Set([202]));
  const pull = await other.open('meanwhile');
  await stage.untilReady(pull.slug, pull.commit);
  await expectReported(stage, other, pull);
  expect(await stage.ask(running.slug)).toMatchObject({ commit: running.commit });
  await other.close(pull.number);
  await stage.untilRemoved(pull.slug);
  await sweep(stage, other, pull);
  stage.forge.faults.clear();
  await stage.untilReady(running.slug, newest);
  await expectReported(stage, repository, { ...running, commit: newest });
  await remove(running);
});

describe('a forge that lies', () => {
  /** The webhook led to a look, in which the lie was told, and it was done what follows from that. */
  async function untilLooked(pull: PullRequest, action: string): Promise<void> {
    await waitFor(
      `a look at ${pull.slug} after "${action}"`,
      async () => {
        const fates = await deliveriesOf(pull, action);
        return fates.length > 0 && fates.every((fate) => fate === 'observed' || fate === 'declined');
      },
      { timeoutMs: READY_MS },
    );
  }

  test('about a comment that it made, and the list of comments: there is one in the end', {
    timeout: WHOLE_MS,
  }, async () => {
    const comments = `/repos/${repository.repo}/issues/*/comments`;
    stage.forge.faults.set({ match: `POST ${comments}`, statusAfter: 502, times: 1 });
    stage.forge.faults.set({ match: `GET ${comments}`, overlay: { body: '' }, times: 2 });
    const pull = await openAtGate('doubled');
    const path = `/repos/${repository.repo}/issues/${pull.number}/comments`;
    const made = () =>
      stage.forge.apiCalls.filter((call) => call.method === 'POST' && call.path === path && call.status > 0);
    await waitFor('the comment to be made twice', () => made().length === 2, { timeoutMs: READY_MS });
    expect(made().map(({ status }) => status)).toEqual([502, 201]);
    gate.open('doubled');
    await stage.untilReady(pull.slug, pull.commit);
    await expectReported(stage, repository, pull);
    await remove(pull);
  });

  test('about a pull request: what is not found is not closed, the newest commit wins, and closed is closed', {
    timeout: WHOLE_MS,
  }, async () => {
    const pull = await repository.open('lied-about');
    await stage.untilReady(pull.slug, pull.commit);
    const list = `GET /repos/${repository.repo}/pulls`;
    const match = `${list}/${pull.number}`;
    const of = { repo: repository.repo, number: pull.number };

    stage.forge.faults.set({ match, status: 404 });
    stage.forge.faults.set({ match: list, omit: [pull.number] });
    await stage.forge.label({ ...of, label: 'looked-at' });
    await untilLooked(pull, 'labeled');
    expect(await stage.readEnvironment(pull.slug)).toMatchObject({ phase: 'ready' });
    expect(await stage.ask(pull.slug)).toMatchObject({ commit: pull.commit });
    stage.forge.faults.clear();

    // Neither its webhooks, which come under the id of an earlier one, nor what is read tells of the push.
    const overlay = { head: { sha: pull.commit } };
    for (const told of [match, list]) stage.forge.faults.set({ match: told, overlay });
    stage.forge.faults.set({ sameIdEvents: ['push', 'pull_request.synchronize'] });
    const newest = await repository.push(pull.branch, { 'change.txt': 'unseen' });
    await stage.forge.unlabel({ ...of, label: 'looked-at' });
    await untilLooked(pull, 'unlabeled');
    expect(await deliveriesOf(pull, 'synchronize')).toEqual([]);
    stage.forge.faults.clear();
    await stage.untilReady(pull.slug, newest);
    await expectReported(stage, repository, { ...pull, commit: newest });

    stage.forge.faults.set({ match, overlay: { state: 'open', closed_at: null } });
    await repository.close(pull.number);
    await untilLooked(pull, 'closed');
    expect(await stage.readEnvironment(pull.slug)).toMatchObject({ phase: 'ready' });
    stage.forge.faults.clear();
    await stage.untilRemoved(pull.slug);
    await sweep(stage, repository, pull);
  });
});

test('everything killed at once: the next start goes on, and previews keep running meanwhile', {
  timeout: WHOLE_MS,
}, async () => {
  const running = await repository.open('runs-on');
  await stage.untilReady(running.slug, running.commit);
  const building = await openAtGate('killed-all');
  await gate.reached('killed-all');
  const id = await idOf(running);
  const before = await processesOfEnvironment(stage, id);
  expect(before).not.toEqual([]);
  await stage.bough.killAll();
  // A build must not go on without anybody who wants it.
  await gate.left('killed-all');
  expect(await processesOfEnvironment(stage, id)).toEqual(before);
  gate.open('killed-all');
  await stage.bough.start();
  expect(await stage.ask(running.slug)).toMatchObject({ commit: running.commit });
  await stage.untilReady(building.slug, building.commit);
  await expectDeployedOnce(stage, building);
  await expectDeployedOnce(stage, running);
  expect(await processesOfEnvironment(stage, id)).toEqual(before);
  await expectNoWorkLeft(stage);
  await remove(running);
  await remove(building);
});

test('an upgrade: Bough stops and another starts, previews answer all the while, and work goes on', {
  timeout: WHOLE_MS,
}, async () => {
  const running = await repository.open('stays-up');
  await stage.untilReady(running.slug, running.commit);
  const building = await openAtGate('upgraded');
  await gate.reached('upgraded');
  const id = await idOf(running);
  const before = await processesOfEnvironment(stage, id);
  expect(before).not.toEqual([]);
  const [target] = await stage.query<{ host: string; port: number }>(
    'select target_host as host, target_port as port from routes where environment_id = $1 and target_port is not null',
    [id],
  );
  // Without a gateway there is nobody else to ask.
  const askDirectly = async () => {
    const answer = await fetch(`http://${target?.host}:${target?.port}/`);
    return { status: answer.status, body: await answer.json() };
  };
  const answer = await askDirectly();
  expect(answer).toMatchObject({ status: 200, body: { commit: running.commit } });
  await stage.bough.stop();
  await gate.left('upgraded');
  expect(await askDirectly()).toEqual(answer);
  expect(await processesOfEnvironment(stage, id)).toEqual(before);
  gate.open('upgraded');
  await stage.bough.start();
  expect(await stage.ask(running.slug)).toMatchObject({ commit: running.commit });
  await stage.untilReady(building.slug, building.commit);
  await expectDeployedOnce(stage, running);
  expect(await processesOfEnvironment(stage, id)).toEqual(before);
  await expectNoWorkLeft(stage);
  await remove(running);
  await remove(building);
});

test('a merge ships the artifact that the preview ran', { timeout: WHOLE_MS }, async () => {
  const files = await tinyProject({ gateUrl: gate.url });
  const managed = await connectRepository(stage.forge, [stage], {
    name: 'managed',
    files,
    production: 'managed',
  });
  await stage.untilReady('managed', managed.head);
  const pull = await managed.open('change');
  const preview = await stage.untilReady(pull.slug, pull.commit);
  await stage.forge.mergePullRequest({
    repo: managed.repo,
    number: pull.number,
    by: 'fern',
    deleteBranch: true,
  });
  const production = await stage.untilEnvironment(
    'managed',
    (row) => row.phase === 'ready' && row.deployment?.commit !== managed.head,
  );
  const [artifact] = await artifactsOf(preview.deployment?.id);
  expect(artifact).toMatchObject({ app: 'web', cached: false });
  expect(await artifactsOf(production.deployment?.id)).toEqual([{ ...artifact, cached: true }]);
  expect(await stage.ask('managed')).toMatchObject({ commit: production.deployment?.commit });
  await stage.untilRemoved(pull.slug);
  await sweep(stage, managed, pull);
});

async function artifactsOf(deployment: string | undefined) {
  return await stage.query<{ app: string; key: string; cached: boolean }>(
    'select app, key, cached from deployment_artifacts where deployment_id = $1',
    [deployment],
  );
}
