import { BoughError } from '@bough/domain/bough-error';
import { listDeployments, openDeployment } from '@bough/store/deployments';
import { Interrupted } from '@bough/store/environment-lock';
import { takeLease, writeAbsent } from '@bough/store/environments';
import { listSteps } from '@bough/store/steps';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Harness, MANIFEST, openHarness, QUEUE } from './harness.ts';

let bough: Harness;

beforeEach(async () => {
  bough = await openHarness();
});

afterEach(() => bough.close());

/** Deploys a first commit, which succeeds; returns the environment and its release. */
async function deployFirst(files = {}): Promise<{ id: string; release: string }> {
  const id = await bough.wish(await bough.commit({ 'a.txt': '1', ...files }));
  await bough.look(id);
  const { releaseDeploymentId, failure } = await bough.row(id);
  expect(failure).toBeNull();
  return { id, release: releaseDeploymentId ?? '' };
}

/** The worker dies at a point of the next deployment; a shutdown leaves the same rows and workloads behind. */
async function dieAt(id: string, where: string): Promise<void> {
  const dying = new AbortController();
  bough.onPoint = async (point) => {
    if (point === where) dying.abort();
  };
  await bough.look(id, dying.signal);
  bough.onPoint = async () => {};
}

const failAt = (where: string) => async (point: string) => {
  if (point === where) throw new BoughError({ code: 'verify-failed', message: 'It does not answer.' });
};

const BROKEN = { '.bough/config.yaml': MANIFEST.replace('echo built', 'exit 1') };

test('a queue store that is away does not fail what is deployed', async () => {
  bough.onEnqueue = () => {
    throw new Error('connect ECONNREFUSED');
  };
  const { id } = await deployFirst();
  expect((await listDeployments(bough.pool, id)).map(({ state }) => state)).toEqual(['ready']);
});

test('found wanting after a crash behind the swap, a release gives way to the one before it', async () => {
  const { id, release } = await deployFirst();
  await bough.wish(await bough.commit({ 'a.txt': '2' }));
  await dieAt(id, 'before-verify');
  expect((await bough.row(id)).releaseDeploymentId).not.toBe(release);

  bough.onPoint = failAt('before-verify');
  await bough.look(id);
  expect(await bough.row(id)).toMatchObject({
    releaseDeploymentId: release,
    failure: { code: 'verify-failed' },
  });
  expect(await bough.running(id)).toEqual([release]);
});

test('overtaken after its swap, a release that nobody verified does not outlive the failure of the next', async () => {
  const { id, release } = await deployFirst();
  await bough.wish(await bough.commit({ 'a.txt': '2' }));
  const broken = await bough.commit({ ...BROKEN, 'a.txt': '3' });
  bough.onPoint = async (point) => {
    if (point !== 'after-release') return;
    await bough.wish(broken);
    throw new Interrupted('superseded');
  };
  await bough.look(id);
  bough.onPoint = async () => {};
  await bough.look(id);
  expect(await bough.row(id)).toMatchObject({
    releaseDeploymentId: release,
    failure: { code: 'build-failed' },
  });
  expect(await bough.running(id)).toEqual([release]);
});

test('a worker that was stopped while another took its lease leaves deployment, steps and workloads to that one', async () => {
  const { id } = await deployFirst();
  await bough.wish(await bough.commit({ 'a.txt': '2' }));
  bough.onPoint = async (point) => {
    if (point !== 'before-verify') return;
    const lease = (await takeLease(bough.pool, id)) ?? '';
    const { generation, desiredCommit } = await bough.row(id);
    await openDeployment(bough.pool, { environmentId: id, generation, lease }, desiredCommit ?? '');
    throw new BoughError({ code: 'verify-failed', message: 'It does not answer.' });
  };
  expect(await bough.look(id)).toEqual({ kind: 'again', delayMs: 0 });
  const [newest] = await listDeployments(bough.pool, id);
  expect(newest?.state).toBe('running');
  expect((await listSteps(bough.pool, newest?.id ?? '')).at(-1)).toMatchObject({
    ...{ name: 'verify', state: 'running' },
  });
  expect(await bough.row(id)).toMatchObject({ failure: null, releaseDeploymentId: newest?.id });
  expect(await bough.running(id)).toContain(newest?.id);
});

test('a first release that fails is no release', async () => {
  const id = await bough.wish(await bough.commit());
  await dieAt(id, 'before-verify');
  bough.onPoint = failAt('before-verify');
  await bough.look(id);
  expect(await bough.row(id)).toMatchObject({
    releaseDeploymentId: null,
    failure: { code: 'verify-failed' },
  });
  expect(await bough.running(id)).toEqual([]);
});

test('a release that cannot be read does not keep a newer one away', async () => {
  const { id, release } = await deployFirst();
  await bough.pool.query('update deployments set plan = null where id = $1', [release]);
  await bough.wish(await bough.commit({ 'a.txt': '2' }));
  await bough.look(id);
  const row = await bough.row(id);
  expect(row.failure).toBeNull();
  expect(row.releaseDeploymentId).not.toBe(release);
});

test('held in the middle of a deployment that a crash cut short, nothing is said to be under way', async () => {
  const id = await bough.wish(await bough.commit());
  await dieAt(id, 'after-build');
  await bough.wish(await bough.commit(), { heldReason: 'it comes from a fork' });
  await bough.look(id);
  expect((await listDeployments(bough.pool, id)).map(({ state }) => state)).toEqual(['cancelled']);
});

test('reopened while its data goes, a preview gets its data anew', async () => {
  const { id } = await deployFirst();
  await writeAbsent(bough.pool, { projectId: bough.projectId, subject: 'pull/7' });
  const commit = await bough.commit({ 'a.txt': '2' });
  bough.onPoint = async (point) => {
    if (point === 'after-remove') await bough.wish(commit);
  };
  expect(await bough.look(id)).toEqual({ kind: 'again', delayMs: 0 });
  expect(await bough.row(id)).toMatchObject({
    removedAt: null,
    desiredState: 'running',
    dataState: 'undecided',
    releaseDeploymentId: null,
  });
});

test('a service that is dropped stays until the release without it is verified', async () => {
  const services = 'services: { queue: { type: "redis:7" } }\n';
  const { id, release } = await deployFirst({ '.bough/config.yaml': MANIFEST + services });
  expect(await bough.running(id)).toEqual([release, 'queue']);

  await bough.wish(await bough.commit({ 'a.txt': '2' }));
  bough.onPoint = failAt('before-verify');
  await bough.look(id);
  expect(await bough.running(id)).toEqual([release, 'queue']);

  bough.onPoint = async () => {};
  await bough.wish(await bough.commit({ 'a.txt': '3' }));
  await bough.look(id);
  expect(await bough.running(id)).toEqual([(await bough.row(id)).releaseDeploymentId]);
});

test('the volume of a dropped service that a crash left is removed by the next look', async () => {
  const { storage } = bough.context;
  let dies = true;
  const remove: typeof storage.remove = async (id) => {
    if (dies) throw new Error('the process died');
    await storage.remove(id);
  };
  const service = () => ({ ...QUEUE, persistent: () => true });
  Object.assign(bough.context, { service, storage: { ...storage, remove } });
  const services = 'services: { queue: { type: "redis:7" } }\n';
  const { id } = await deployFirst({ '.bough/config.yaml': MANIFEST + services });
  await bough.wish(await bough.commit({ 'a.txt': '2' }));
  await bough.look(id);
  const { releaseDeploymentId } = await bough.row(id);
  expect((await storage.list()).map(({ labels }) => labels.name)).toEqual(['service:queue']);

  dies = false;
  await bough.look(id);
  expect(await storage.list()).toEqual([]);
  expect(await bough.running(id)).toEqual([releaseDeploymentId]);
});

test('a version that cannot read what the volume holds is refused before anything is stopped', async () => {
  const unreadable = async ({ version }: { version: string }) => (version === '7.0' ? undefined : '7.0');
  Object.assign(bough.context, { service: () => ({ ...QUEUE, persistent: () => true, unreadable }) });
  const asking = (version: string) => ({
    '.bough/config.yaml': `${MANIFEST}services: { queue: { type: "redis:${version}" } }\n`,
  });
  const { id, release } = await deployFirst(asking('7.0'));
  const running = await bough.running(id);
  await bough.wish(await bough.commit(asking('7.2')));
  await bough.look(id);
  const { failure, releaseDeploymentId } = await bough.row(id);
  expect(failure).toMatchObject({ code: 'service-version-changed' });
  expect(failure?.message).toContain('holds the files of version 7.0');
  expect(releaseDeploymentId).toBe(release);
  expect(await bough.running(id)).toEqual(running);
});

describe('what something else stops while it is waited for', () => {
  const web = '    web: { commands: { start: "echo listening" } }\n';
  const manifest = MANIFEST.replace('    workers:', `${web}    workers:`);
  const files = { '.bough/config.yaml': manifest };

  /** What listens is what runs; before it does, the machine restarts so often. */
  function restartMachine(times: number): { readonly starts: () => number } {
    let left = times;
    let starts = 0;
    const accepts = async (): Promise<void> => {
      starts += 1;
      const workloads = await bough.engine.list();
      if (left > 0) for (const { id } of workloads) await bough.engine.stop(id);
      left -= 1;
      const webs = (await bough.engine.list()).filter(({ labels }) => labels.role === 'web');
      if (!webs.some(({ state }) => state === 'running')) throw new Error('connect ECONNREFUSED');
    };
    const get = async () => {
      const release = (await bough.engine.list())[0]?.labels.release ?? '';
      return { status: 200, headers: { 'x-bough-deployment': release }, body: '' };
    };
    Object.assign(bough.context, { network: { accepts, get } });
    return { starts: () => starts };
  }

  test('is started again', async () => {
    const { starts } = restartMachine(2);
    const { id } = await deployFirst(files);
    expect(starts()).toBe(3);
    expect((await listDeployments(bough.pool, id)).map(({ state }) => state)).toEqual(['ready']);
  });

  test('is tried again later, when that does not help', async () => {
    restartMachine(1_000);
    const id = await bough.wish(await bough.commit(files));
    expect(await bough.look(id)).toMatchObject({ kind: 'again' });
    const row = await bough.row(id);
    expect(row.failure).toMatchObject({ code: 'stopped-meanwhile' });
    expect(row.retryAt).not.toBeNull();
  });

  test('an app that exits by itself keeps its own error', async () => {
    const accepts = async (): Promise<void> => {
      const started = (await bough.engine.list()).find(({ labels }) => labels.role === 'web');
      bough.machine.crash(started?.id ?? '', 3);
      throw new Error('connect ECONNREFUSED');
    };
    Object.assign(bough.context, { network: { ...bough.context.network, accepts } });
    const id = await bough.wish(await bough.commit(files));
    expect(await bough.look(id)).toEqual({ kind: 'done' });
    const { failure } = await bough.row(id);
    expect(failure).toMatchObject({ code: 'app-crashes' });
    expect(failure?.message).toContain('exit code 3');
  });

  test('lets a deploy hook fail without blame, when it was its service', async () => {
    const services = 'services: { queue: { type: "redis:7" } }\n';
    const hook = MANIFEST.replace('build: "echo built"', 'build: "echo built", deploy: "exit 1"').replace(
      '    workers:',
      '    relationships: { queue: "queue:redis" }\n    workers:',
    );
    const id = await bough.wish(await bough.commit({ '.bough/config.yaml': hook + services }));
    bough.onPoint = async (point) => {
      if (point !== 'before-deploy-hook') return;
      for (const workload of await bough.engine.list()) await bough.engine.stop(workload.id);
    };
    expect(await bough.look(id)).toMatchObject({ kind: 'again' });
    expect((await bough.row(id)).failure).toMatchObject({ code: 'stopped-meanwhile' });
    bough.onPoint = async () => {};
    await bough.pool.query('update environments set retry_at = null');
    expect(await bough.look(id)).toEqual({ kind: 'done' });
    expect((await bough.row(id)).failure).toMatchObject({ code: 'deploy-hook-failed' });
  });
});
