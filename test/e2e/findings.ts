import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { processesOf } from '@bough/testkit/leaks';
import { waitFor } from '@bough/testkit/wait-for';
import { expect } from 'vitest';
import type { PullRequest, Repository, Stage } from './stage.ts';

/** What reaches the forge last reaches it a moment after the environment is there. */
const FEEDBACK_MS = 60_000;

/** The comments of this Bough on a pull request. */
export async function commentsOf(stage: Stage, repository: Repository, number: number): Promise<string[]> {
  const comments = await stage.forgeGet<{ body: string }[]>(
    `/repos/${repository.repo}/issues/${number}/comments?per_page=100`,
  );
  return comments
    .map((comment) => comment.body)
    .filter((body) => body.includes(`<!-- bough ${stage.installationId} `));
}

/** A forge's deployment and its last word. */
export interface ForgeDeployment {
  readonly id: number;
  readonly sha: string;
  readonly state: string;
}

export async function forgeDeployments(
  stage: Stage,
  repository: Repository,
  of: { sha?: string; logUrl?: string } = {},
): Promise<ForgeDeployment[]> {
  const query = of.sha === undefined ? '' : `&sha=${of.sha}`;
  const deployments = await stage.forgeGet<{ id: number; sha: string }[]>(
    `/repos/${repository.repo}/deployments?per_page=100${query}`,
  );
  const found: ForgeDeployment[] = [];
  for (const { id, sha } of deployments) {
    const [last] = await stage.forgeGet<{ state: string; log_url: string }[]>(
      `/repos/${repository.repo}/deployments/${id}/statuses?per_page=1`,
    );
    if (of.logUrl !== undefined && !last?.log_url.startsWith(of.logUrl)) continue;
    found.push({ id, sha, state: last?.state ?? 'none' });
  }
  return found;
}

const isActive = ({ state }: ForgeDeployment) =>
  state !== 'inactive' && state !== 'failure' && state !== 'error';

/** What the forge shows of a preview that is ready: one comment that says so, and one active deployment of its commit. */
export async function expectReported(stage: Stage, repository: Repository, pull: PullRequest): Promise<void> {
  await waitFor(
    `${pull.slug} to be reported as ready, once`,
    async () => {
      const comments = await commentsOf(stage, repository, pull.number);
      const deployments = await forgeDeployments(stage, repository, { sha: pull.commit });
      expect(comments).toEqual([expect.stringContaining('Preview is ready')]);
      expect(comments[0]).toContain(pull.commit.slice(0, 7));
      expect(deployments.map(({ state }) => state)).toEqual(['success']);
      return true;
    },
    { timeoutMs: FEEDBACK_MS, intervalMs: 200 },
  );
}

export interface WorkloadView {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly state: string;
}

export async function workloadsOf(stage: Stage, slug: string): Promise<WorkloadView[]> {
  const answer = await stage.api.get(`/environments/${slug}/workloads`);
  return (answer as { workloads: WorkloadView[] }).workloads;
}

/** It serves this commit, from one release, of one deployment, and nothing of it is there twice or left half made. */
export async function expectDeployedOnce(
  stage: Stage,
  pull: Pick<PullRequest, 'slug' | 'commit'>,
  options: {
    services?: number;
    /** Commits that it was at before. */
    earlier?: readonly string[];
  } = {},
): Promise<void> {
  const { deployments } = (await stage.api.get(`/environments/${pull.slug}/deployments`)) as {
    deployments: { id: string; commit: string; state: string }[];
  };
  expect(deployments.map(({ commit, state }) => ({ commit, state }))).toEqual(
    [pull.commit, ...(options.earlier ?? [])].map((commit) => ({ commit, state: 'ready' })),
  );
  const answer = await stage.ask<{ commit: string; deployment: string }>(pull.slug);
  expect(answer).toMatchObject({ commit: pull.commit, deployment: deployments[0]?.id });
  // What the release replaced is stopped behind it: the deployment is ready before.
  await waitFor(`only the release of ${pull.slug} to run`, async () => {
    const roles = (await workloadsOf(stage, pull.slug)).map(({ role, state }) => `${role} ${state}`).sort();
    expect(roles, pull.slug).toEqual([
      ...Array(options.services ?? 0).fill('service running'),
      'web running',
    ]);
    return true;
  });
  const environment = await stage.readEnvironment(pull.slug);
  expect(environment?.deployment?.steps.map(({ state }) => state)).not.toContain('aborted');
}

/** Of what captures leave in their wake only frozen snapshots stay. */
export async function expectNoCaptureLeft(stage: Stage, production = 'tiny'): Promise<void> {
  await waitFor(
    'dead captures to be cleaned up',
    async () => {
      const rows = await stage.query<{ state: string; snapshot: string }>(
        `select s.state, v.value ->> 'snapshotId' as snapshot
         from snapshots s left join lateral jsonb_each(s.volumes) v on true where s.state <> 'removed'`,
      );
      const kept = rows.filter(({ state }) => state === 'frozen').map(({ snapshot }) => snapshot);
      const snapshots = await namesIn(join(stage.home, 'volumes/snapshots'));
      const volumes = await namesIn(join(stage.home, 'volumes/volumes'));
      expect(rows.filter(({ state }) => state !== 'frozen' && state !== 'failed')).toEqual([]);
      expect(snapshots.filter((name) => /-(raw|golden)$/.test(name) && !kept.includes(name))).toEqual([]);
      expect(volumes.filter((name) => name.endsWith('-capture'))).toEqual([]);
      expect((await workloadsOf(stage, production)).filter(({ role }) => role === 'capture')).toEqual([]);
      return true;
    },
    { timeoutMs: FEEDBACK_MS, intervalMs: 200 },
  );
}

/** Nothing that work in progress uses is left: half-made artifacts, checkouts, saved data, runs. */
export async function expectNoWorkLeft(stage: Stage): Promise<void> {
  await waitFor('no work to be left', async () => {
    expect(await namesIn(join(stage.home, 'builds'))).toEqual([]);
    expect(await namesIn(join(stage.home, 'tmp/checkouts'))).toEqual([]);
    expect(await namesIn(join(stage.home, 'engine/runs'))).toEqual([]);
    expect(
      (await namesIn(join(stage.home, 'volumes/snapshots'))).filter((name) => name.includes('-before-')),
    ).toEqual([]);
    return true;
  });
}

function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

/** Asks the world, not only the rows: nothing of a removed preview is anywhere. */
export async function sweep(
  stage: Stage,
  repository: Repository,
  pull: Pick<PullRequest, 'slug' | 'number'>,
): Promise<void> {
  const [row] = await stage.query<{ id: string; removed: boolean; runningStep: string | null }>(
    `select id::text, removed_at is not null as removed, running_step as "runningStep" from environments
     where slug = $1 or starts_with(slug, $1 || '~') order by id desc limit 1`,
    [pull.slug],
  );
  if (row === undefined) throw new Error(`${pull.slug} never was`);
  expect(row).toMatchObject({ removed: true, runningStep: null });
  await expectNoRows(stage, row.id);
  await waitFor('no process to be left', async () => {
    expect(await processesOfEnvironment(stage, row.id)).toEqual([]);
    return true;
  });
  const deployments = await stage.query<{ id: string }>(
    'select id::text from deployments where environment_id = $1',
    [row.id],
  );
  expect(await pathsOf(stage, row.id, new Set(deployments.map(({ id }) => id)))).toEqual([]);
  expect((await stage.visit(pull.slug)).status).toBe(404);
  await waitFor("the gateway's table to forget it", async () => {
    return !(await readFile(join(stage.home, 'gateway/routes.json'), 'utf8')).includes(`"${pull.slug}.`);
  });
  await waitFor(
    `the forge to know that ${pull.slug} is gone`,
    async () => {
      const comments = await commentsOf(stage, repository, pull.number);
      for (const comment of comments) expect(comment).toContain('Preview is removed');
      expect(comments.length).toBeLessThanOrEqual(1);
      const known = await stage.query<{ id: string }>(
        `select external_id as id from publications where environment_id = $1 and kind = 'deployment'`,
        [row.id],
      );
      const ids = new Set(known.map(({ id }) => Number(id)));
      const all = await forgeDeployments(stage, repository);
      expect(all.filter((deployment) => ids.has(deployment.id) && isActive(deployment))).toEqual([]);
      return true;
    },
    { timeoutMs: FEEDBACK_MS, intervalMs: 200 },
  );
}

/** Rows that say that something is going on, or that name what is gone. */
async function expectNoRows(stage: Stage, id: string): Promise<void> {
  const [counts] = await stage.query<Record<string, number>>(
    `select (select count(*)::int from deployments where environment_id = $1 and state = 'running') as deployments,
       (select count(*)::int from steps s join deployments d on d.id = s.deployment_id
        where d.environment_id = $1 and s.state = 'running') as steps,
       (select count(*)::int from routes where environment_id = $1) as routes,
       (select count(*)::int from credentials where environment_id = $1) as credentials,
       (select count(*)::int from requests r join environments e on e.project_id = r.project_id and e.subject = r.subject
        where e.id = $1 and r.handled_at is null) as requests`,
    [id],
  );
  expect(counts).toEqual({ deployments: 0, steps: 0, routes: 0, credentials: 0, requests: 0 });
}

/** Workloads, builds and hooks of an environment of this installation, by what is written into their surroundings. */
export async function processesOfEnvironment(stage: Stage, environmentId: string): Promise<string[]> {
  const ours = await processesOf({ marker: `BOUGH_INSTALLATION=${stage.installationId}\0` });
  const its = new Set(
    (await processesOf({ marker: `BOUGH_ENVIRONMENT=${environmentId}\0` })).map(({ pid }) => pid),
  );
  return ours.filter(({ pid }) => its.has(pid)).map(({ pid, command }) => `${pid} ${command}`);
}

/** Directories and files below BOUGH_HOME that are named after the environment or its deployments. */
async function pathsOf(
  stage: Stage,
  environmentId: string,
  deployments: ReadonlySet<string>,
): Promise<string[]> {
  const found: string[] = [];
  const visit = async (directory: string, depth: number): Promise<void> => {
    for (const entry of await readdir(join(stage.home, directory), { withFileTypes: true }).catch(() => [])) {
      const path = join(directory, entry.name);
      const isIts =
        new RegExp(`(^|-)e${environmentId}-`).test(entry.name) ||
        (directory === 'logs/deployments' && deployments.has(entry.name));
      if (isIts) found.push(path);
      // Servers' own files are not named after environments, and there are thousands of them.
      else if (entry.isDirectory() && depth < 3 && !SERVERS.has(path)) await visit(path, depth + 1);
    }
  };
  await visit('.', 0);
  return found;
}

const SERVERS: ReadonlySet<string> = new Set([
  'postgres',
  'redis',
  'toolchains',
  'artifacts',
  'mirrors',
  'cache',
  'caches',
]);
