import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { processesOf } from '@bough/testkit/leaks';
import { waitFor } from '@bough/testkit/wait-for';
import type { PullRequest, Repository, Stage } from '../test/e2e/stage.ts';

/** Where what belongs to one environment lies below `BOUGH_HOME`. */
const PLACES = [
  'volumes/volumes',
  'volumes/snapshots',
  'engine/workloads',
  'engine/runs',
  'builds',
  'tmp/checkouts',
  'logs/deployments',
];

/**
 * What is still there of pull requests whose previews are all removed, in words; empty when nothing is. What is on its
 * way out gets the time to go.
 */
export async function leftBehind(
  stage: Stage,
  repository: Repository,
  pulls: readonly PullRequest[],
  timeoutMs: number,
): Promise<string[]> {
  let left: string[] = [];
  const look = async () => {
    left = [
      ...(await rowsLeft(stage)),
      ...(await processesLeft(stage)),
      ...(await filesLeft(stage)),
      ...(await saidOnTheForge(stage, repository, pulls)),
    ];
    return left.length === 0;
  };
  await waitFor('nothing to be left', look, { timeoutMs, intervalMs: 500 }).catch((error: unknown) => {
    if (left.length === 0) throw error;
  });
  return left;
}

async function rowsLeft(stage: Stage): Promise<string[]> {
  const [counts] = await stage.query<Record<string, number>>(
    `select (select count(*)::int from environments where removed_at is null and kind = 'preview') as environments,
       (select count(*)::int from deployments where state = 'running') as "running deployments",
       (select count(*)::int from steps where state = 'running') as "running steps",
       (select count(*)::int from routes) as routes,
       (select count(*)::int from credentials) as credentials,
       (select count(*)::int from requests where handled_at is null) as "open requests",
       (select count(*)::int from deliveries where settled_at is null) as "unsettled webhooks"`,
  );
  return Object.entries(counts ?? {}).flatMap(([what, count]) => (count === 0 ? [] : [`${count} ${what}`]));
}

async function processesLeft(stage: Stage): Promise<string[]> {
  const found = await processesOf({ marker: `BOUGH_INSTALLATION=${stage.installationId}\0` });
  return found.map(({ pid, command }) => `process ${pid} ${command.slice(0, 80)}`);
}

async function filesLeft(stage: Stage): Promise<string[]> {
  const listed = await Promise.all(
    PLACES.map(async (place) => {
      const names = await readdir(join(stage.home, place)).catch(() => []);
      return names.filter((name) => !name.startsWith('.')).map((name) => `${place}/${name}`);
    }),
  );
  return listed.flat();
}

async function saidOnTheForge(
  stage: Stage,
  { repo }: Repository,
  pulls: readonly PullRequest[],
): Promise<string[]> {
  const wrong: string[] = [];
  for (const { number } of pulls) {
    const all = await stage.forgeGet<{ body: string }[]>(
      `/repos/${repo}/issues/${number}/comments?per_page=100`,
    );
    const ours = all.filter(({ body }) => body.includes(`<!-- bough ${stage.installationId} `));
    if (ours.length > 1) wrong.push(`${ours.length} comments on #${number}`);
    if (ours.some(({ body }) => !body.includes('Preview is removed')))
      wrong.push(`an old comment on #${number}`);
  }
  return wrong;
}
