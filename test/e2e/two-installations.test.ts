import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseStorage } from '@bough/storage/probe';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  commentsOf,
  expectDeployedOnce,
  expectReported,
  forgeDeployments,
  processesOfEnvironment,
  sweep,
  workloadsOf,
} from './findings.ts';
import {
  connectRepository,
  openForge,
  openStage,
  type Repository,
  type Stage,
  type StageForge,
} from './stage.ts';
import { tinyProject } from './tiny-project.ts';

const WHOLE_MS = 240_000;

let forge: StageForge;
let ours: Stage;
let theirs: Stage;
let repository: Repository;

/** One repository, one machine, one account of the forge, two Boughs. */
beforeAll(async () => {
  forge = await openForge();
  // Noted as soon as it is there: should the other one not start, this one must still be closed.
  const opened = await Promise.allSettled([
    openStage({ forge }).then((stage) => (ours = stage)),
    openStage({ forge }).then((stage) => (theirs = stage)),
  ]);
  for (const one of opened) if (one.status === 'rejected') throw one.reason;
  repository = await connectRepository(forge.forge, [ours, theirs], {
    name: 'tiny',
    files: await tinyProject({ database: true }),
  });
}, WHOLE_MS);

afterAll(async () => {
  // One after the other: each fails when something of its own is left, and only of its own.
  try {
    await ours?.close();
  } finally {
    await theirs?.close();
    await forge?.close();
  }
}, 120_000);

/** Everything of a preview that the other installation could have laid hands on. */
async function thingsOf(stage: Stage, slug: string) {
  const environment = await stage.readEnvironment(slug);
  return {
    phase: environment?.phase,
    deployment: environment?.deployment?.id,
    workloads: (await workloadsOf(stage, slug)).map(({ id, state }) => `${id} ${state}`).sort(),
    processes: await processesOfEnvironment(stage, environment?.id ?? ''),
    volumes: (await readdir(join(stage.home, 'volumes/volumes'))).sort(),
    hookRuns: await stage.ask(slug, '/hook-runs'),
  };
}

test('two installations on one repository and one machine leave each other alone', {
  timeout: WHOLE_MS,
}, async () => {
  const pull = await repository.open('shared');
  const both = [ours, theirs];
  for (const stage of both) {
    await stage.untilReady(pull.slug, pull.commit);
    await expectDeployedOnce(stage, pull, { services: 1 });
    expect(await stage.ask(pull.slug, '/hook-runs')).toEqual([pull.commit]);
  }
  await waitFor(
    'a comment and a deployment of each',
    async () => {
      for (const stage of both) {
        expect(await commentsOf(stage, repository, pull.number)).toEqual([
          expect.stringContaining('Preview is ready'),
        ]);
      }
      const deployments = await forgeDeployments(ours, repository, { sha: pull.commit });
      expect(deployments.map(({ state }) => state)).toEqual(['success', 'success']);
      return true;
    },
    { timeoutMs: 60_000, intervalMs: 200 },
  );
  const before = await thingsOf(theirs, pull.slug);
  expect(before.processes).not.toEqual([]);

  // Ours has nothing to do with the repository any more, and looks for what nobody owns every two seconds.
  const { projects } = (await ours.api.get('/projects')) as { projects: { id: string }[] };
  await ours.api.send('DELETE', `/projects/${projects[0]?.id}`);
  await ours.untilRemoved(pull.slug);
  await sweep(ours, repository, pull);
  await untilReaped(ours);

  expect(await thingsOf(theirs, pull.slug)).toEqual(before);
  expect(await commentsOf(theirs, repository, pull.number)).toEqual([
    expect.stringContaining('Preview is ready'),
  ]);
  const left = await forgeDeployments(theirs, repository, { sha: pull.commit });
  expect(left.map(({ state }) => state).sort()).toEqual(['inactive', 'success']);

  // Its webhook is still there too.
  const second = await repository.open('theirs-alone');
  await theirs.untilReady(second.slug, second.commit);
  await expectReported(theirs, repository, second);
  expect(await ours.readEnvironment(second.slug)).toBeUndefined();
  for (const { number, slug } of [pull, second]) {
    await repository.close(number);
    await theirs.untilRemoved(slug);
    await sweep(theirs, repository, { number, slug });
  }
});

/** Something that nobody owns is reaped when two listings agree: then everything has been looked at twice. */
async function untilReaped(stage: Stage): Promise<void> {
  const { installationId } = stage;
  const { storage } = await chooseStorage({
    root: join(stage.home, 'volumes'),
    want: 'auto',
    installationId,
    log: { info: () => undefined },
  });
  const id = `${installationId}-e999-mount-lost`;
  await storage.ensure({
    id,
    labels: { installationId, environmentId: '999', name: 'mount:lost', kind: 'preview' },
  });
  await waitFor('what nobody owns to be reaped', async () => (await storage.observe(id)) === undefined, {
    timeoutMs: 60_000,
  });
}
