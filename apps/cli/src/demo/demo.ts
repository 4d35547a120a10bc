import { join } from 'node:path';
import { styleText } from 'node:util';
import { BoughError } from '@bough/domain/bough-error';
import { z } from 'zod';
import type { EnvironmentDetail } from '../verbs/views.ts';
import type { Narrator } from './narrator.ts';
import { showRehearsal } from './rehearsal.ts';
import { CHANGES, EXAMPLE, readFolder, type Stage } from './stage.ts';
import { untilEnvironment, visit } from './watch.ts';

const REPOSITORY = 'acme/shop';
const PREVIEW = 'pr-1--shop';
const PRODUCTION = 'shop';
const BRANCH = 'ratings';
/** The first one fetches a Node and its packages from the registry. */
const FIRST_MS = 150_000;
const THEN_MS = 60_000;

const Status = z.object({
  commit: z.string(),
  environment: z.string(),
  rowCounts: z.record(z.string(), z.number()),
  migrations: z.array(z.string()),
});
type Status = z.infer<typeof Status>;

/** Where the demo is to be looked at. */
export interface DemoAddresses {
  readonly pullRequest: string;
  readonly preview: string;
  readonly production: string;
}

/** Production with data, and a pull request with its preview. */
export async function openDemo(stage: Stage, narrator: Narrator): Promise<DemoAddresses> {
  const { forge, api } = stage;
  await narrator.during(`${REPOSITORY} on a small forge of its own, connected to Bough`, async () => {
    if (!(await forge.hasRepository({ repo: REPOSITORY })))
      await forge.createRepository({ owner: 'acme', name: 'shop' });
    await forge.commit({
      repo: REPOSITORY,
      branch: 'main',
      files: await readFolder(EXAMPLE),
      message: 'Open the shop',
      user: 'fern',
    });
    await api.send('POST', '/projects', { repository: REPOSITORY, production: 'managed' });
  });
  const production = await narrator.during('production: built, migrated, seeded, deployed', (update) =>
    untilEnvironment(stage, PRODUCTION, isReady, { timeoutMs: FIRST_MS, onProgress: update }),
  );
  narrator.say(`  ${addressOf(production)}  ${shopWords(await readStatus(stage, production))}`);

  await narrator.during('a pull request that changes the code and migrates the schema', async () => {
    await forge.commit({
      repo: REPOSITORY,
      branch: BRANCH,
      from: 'main',
      files: await readFolder(join(CHANGES, '1-ratings')),
      message: 'Let customers rate products',
      user: 'robin',
    });
    await forge.openPullRequest({
      repo: REPOSITORY,
      head: BRANCH,
      title: 'Let customers rate products',
      body: 'Adds a rating to every product: a migration, and stars on the page.',
      user: 'robin',
    });
  });
  const preview = await narrator.during(
    'its preview: production’s data, the pull request’s code, an address of its own',
    (update) => untilEnvironment(stage, PREVIEW, isReady, { timeoutMs: FIRST_MS, onProgress: update }),
  );
  narrator.say(`  ${addressOf(preview)}  ${shopWords(await readStatus(stage, preview))}`);
  for (const step of preview.deployment?.steps ?? []) {
    narrator.say(
      styleText(
        'dim',
        `    ${step.name.padEnd(12)} ${String(step.durationMs).padStart(6)} ms  ${step.note ?? ''}`,
      ),
    );
  }
  await showRehearsal(stage, preview, narrator);
  return {
    pullRequest: `${forge.url}/${REPOSITORY}/pull/1`,
    preview: addressOf(preview),
    production: addressOf(production),
  };
}

/** The rest of a pull request's life: a second push, a merge, production updated, the preview gone. */
export async function finishDemo(stage: Stage, narrator: Narrator): Promise<void> {
  const { forge } = stage;
  const second = await narrator.during('a second push', async () => {
    const files = await readFolder(join(CHANGES, '2-announcement'));
    return await forge.commit({
      repo: REPOSITORY,
      branch: BRANCH,
      files,
      message: 'Say it on the page',
      user: 'robin',
    });
  });
  const updated = await narrator.during('the preview follows', (update) =>
    untilEnvironment(stage, PREVIEW, (row) => isReady(row) && row.deployment?.commit === shaOf(second), {
      timeoutMs: THEN_MS,
      onProgress: update,
    }),
  );
  expectThat(
    (await readStatus(stage, updated)).commit === shaOf(second),
    'the preview serves the second commit',
  );

  await narrator.during('merge', () =>
    forge.mergePullRequest({ repo: REPOSITORY, number: 1, by: 'fern', deleteBranch: true }),
  );
  const production = await narrator.during('production deploys what the preview ran', (update) =>
    untilEnvironment(
      stage,
      PRODUCTION,
      (row) =>
        isReady(row) &&
        row.deployment?.steps.some((step) => step.name === 'build' && step.state === 'cached') === true,
      { timeoutMs: THEN_MS, onProgress: update },
    ),
  );
  narrator.say(`  ${production.deployment?.steps.find((step) => step.name === 'build')?.note ?? ''}`);
  const status = await readStatus(stage, production);
  expectThat(status.migrations.length > 2, 'production’s schema is migrated');
  narrator.say(`  ${addressOf(production)}  ${shopWords(status)}`);

  await narrator.during('the preview is removed', (update) =>
    untilEnvironment(stage, PREVIEW, (row) => row.phase === 'removed', {
      timeoutMs: THEN_MS,
      onProgress: update,
      mayFail: true,
    }),
  );
  await narrator.during('nothing of it is left', () => sweep(stage));
}

const isReady = (environment: EnvironmentDetail): boolean => environment.phase === 'ready';

function shaOf(commit: string | { sha: string }): string {
  return typeof commit === 'string' ? commit : commit.sha;
}

function addressOf(environment: EnvironmentDetail): string {
  return (environment.routes.find((route) => route.primary) ?? environment.routes[0])?.url ?? '';
}

async function readStatus(stage: Stage, environment: EnvironmentDetail): Promise<Status> {
  const { body } = await visit(stage, new URL('/api/status', addressOf(environment)).href);
  return Status.parse(JSON.parse(body));
}

function shopWords(status: Status): string {
  const counts = Object.entries(status.rowCounts).map(
    ([name, count]) => `${count} ${name.replaceAll('_', ' ')}`,
  );
  return styleText('dim', `commit ${status.commit.slice(0, 7)} · ${counts.join(' · ')}`);
}

/** Asks the world, not the rows: workloads, volumes, routes, and what the forge still calls active. */
async function sweep(stage: Stage): Promise<void> {
  const gone = await visit(stage, `http://${PREVIEW}.localhost:${stage.bough.gatewayPort}/`);
  expectThat(gone.status === 404, 'the preview’s address is gone');
  const { workloads } = z
    .object({ workloads: z.array(z.unknown()) })
    .parse(await stage.api.get(`/environments/${PREVIEW}/workloads`));
  expectThat(workloads.length === 0, 'no process of the preview is left');
}

function expectThat(holds: boolean, what: string): void {
  if (!holds)
    throw new BoughError({
      code: 'demo-failed',
      message: `The demo expected otherwise: ${what}.`,
      hint: 'Please report this with the output above.',
    });
}
