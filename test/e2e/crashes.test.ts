import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  expectDeployedOnce,
  expectNoCaptureLeft,
  expectNoWorkLeft,
  expectReported,
  sweep,
} from './findings.ts';
import { createGate, type Gate } from './gate.ts';
import {
  connectRepository,
  type HeldUp,
  openStage,
  type PullRequest,
  READY_MS,
  type Repository,
  type Stage,
} from './stage.ts';
import { type Files, manifest, tinyProject } from './tiny-project.ts';

const WHOLE_MS = 300_000;

let gate: Gate;
let stage: Stage;
let repository: Repository;

beforeAll(async () => {
  gate = await createGate(READY_MS);
  stage = await openStage({ environment: { BOUGH_BUILDS: '8' } });
  repository = await connectRepository(stage.forge, [stage], {
    name: 'tiny',
    files: await tinyProject({ database: true, clones: true, gateUrl: gate.url }),
    production: 'managed',
  });
  await stage.untilReady('tiny', repository.head);
}, WHOLE_MS);

afterAll(async () => {
  await stage?.close();
  await gate?.close();
}, 120_000);

/** A pull request that is at a certain place of its deployment when the worker is killed. */
interface Caught {
  readonly pull: PullRequest;
  readonly earlier?: readonly string[];
  readonly hasDatabase: boolean;
  reached(): Promise<void>;
  letGo(): Promise<void>;
}

/** Held up inside Bough. Slugs are needed beforehand: pull requests are numbered one after the other. */
async function catchAt(point: string, number: number, files: Files): Promise<Caught> {
  const held = await stage.holdUp(`pr-${number}--tiny`, point);
  return caught(point, files, held);
}

async function caught(name: string, files: Files, held: HeldUp): Promise<Caught> {
  const pull = await repository.open(`at-${name}`, files);
  return {
    pull,
    hasDatabase: files['.bough/config.yaml'] === undefined,
    reached: () => held.reached(),
    letGo: () => held.release(),
  };
}

/** Held up by the fixture's own program, in the middle of what it does. */
function catchInside(gateName: string, files: Files): Promise<Caught> {
  return caught(`gate-${gateName}`, files, {
    reached: () => gate.reached(gateName),
    release: async () => gate.open(gateName),
  });
}

const withoutDatabase: Files = { '.bough/config.yaml': manifest(), 'hook.sh': 'echo "nothing to prepare"\n' };

async function killWorkerAt(all: readonly Pick<Caught, 'reached' | 'letGo'>[]): Promise<void> {
  for (const one of all) await one.reached();
  await stage.bough.kill('worker');
  for (const one of all) await one.letGo();
}

/** Ready, once: one deployment, one release, one comment; and the deploy hook's effect is there once. */
async function expectHealed({ pull, hasDatabase, earlier = [] }: Caught): Promise<void> {
  await stage.untilReady(pull.slug, pull.commit);
  await expectDeployedOnce(stage, pull, { services: hasDatabase ? 1 : 0, earlier });
  if (hasDatabase) {
    // Production's own run came with its data.
    expect(await stage.ask(pull.slug, '/hook-runs'), pull.slug).toEqual([repository.head, pull.commit]);
  }
  await expectReported(stage, repository, pull);
}

describe('the worker is killed', () => {
  const pulls: PullRequest[] = [];

  test('while a preview is made', { timeout: WHOLE_MS }, async () => {
    const all = [
      await catchAt('after-checkout', 1, withoutDatabase),
      await catchAt('after-compile', 2, withoutDatabase),
      await catchInside('build', { ...withoutDatabase, 'build.sh': 'node gate.mjs build\n' }),
      await catchAt('after-build', 4, withoutDatabase),
      await catchAt('after-data', 5, {}),
      await catchAt('after-services', 6, {}),
    ];
    pulls.push(...all.map(({ pull }) => pull));
    // Once there is a golden snapshot nobody waits for the next capture.
    for (const one of all) await one.reached();
    const capture = await stage.holdUp('tiny', 'during-capture');
    await stage.api.send('POST', '/environments/tiny/data/refresh');
    await killWorkerAt([...all, { reached: () => capture.reached(), letGo: () => capture.release() }]);
    for (const one of all) await expectHealed(one);
    await expectNoWorkLeft(stage);
    await expectNoCaptureLeft(stage);
  });

  test('while a preview is released, and while others are removed', { timeout: WHOLE_MS }, async () => {
    const first = pulls.length + 1;
    const all = [
      await catchInside('hook', { 'hook.sh': 'node note-run.mjs\nnode gate.mjs hook\n' }),
      await catchAt('after-deploy-hook', first + 1, {}),
      await catchInside('listen', {
        ...withoutDatabase,
        'start.sh': 'node gate.mjs listen\nexec node app.mjs\n',
      }),
      await catchAt('after-release', first + 3, {}),
      await catchAt('after-verify', first + 4, withoutDatabase),
    ];
    const updated = pulls[0] as PullRequest;
    const swapped = await stage.holdUp(updated.slug, 'after-release');
    const commit = await repository.push(updated.branch, { 'change.txt': 'a second commit\n' });
    all.push({
      pull: { ...updated, commit },
      earlier: [updated.commit],
      hasDatabase: false,
      reached: () => swapped.reached(),
      letGo: () => swapped.release(),
    });
    const points = ['before-remove', 'during-remove', 'after-remove'];
    // Those with a database: there is most to remove.
    const removed = pulls.slice(-points.length);
    const removals = await Promise.all(
      removed.map(async (pull, index) => {
        const held = await stage.holdUp(pull.slug, points[index] ?? '');
        await repository.close(pull.number);
        return { reached: () => held.reached(), letGo: () => held.release() };
      }),
    );
    await killWorkerAt([...all, ...removals]);
    for (const one of all) await expectHealed(one);
    for (const pull of removed) {
      await stage.untilRemoved(pull.slug);
      await sweep(stage, repository, pull);
    }
    await expectNoWorkLeft(stage);
    pulls.splice(-points.length, points.length, ...all.slice(0, -1).map(({ pull }) => pull));
  });

  test('and nothing of any preview is left in the end', { timeout: WHOLE_MS }, async () => {
    for (const pull of pulls) await repository.close(pull.number);
    for (const pull of pulls) await stage.untilRemoved(pull.slug);
    for (const pull of pulls) await sweep(stage, repository, pull);
    await expectNoWorkLeft(stage);
  });
});
