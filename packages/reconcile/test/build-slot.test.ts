import type { Clock } from '@bough/domain/clock';
import { createFakeMachine } from '@bough/engine/fake/engine';
import { expect, test } from 'vitest';
import { type BuildWish, createBuildSlots } from '../src/build-slots.ts';
import { keepWaitingForSlot, takeBuildSlot } from '../src/deploy/build-slot.ts';
import { Waiting } from '../src/deploy/run.ts';

const wish = (environmentId: string): BuildWish => ({
  ...{ environmentId, deploymentId: '3', projectId: '1', kind: 'preview', priority: 0 },
  ...{ app: 'web', artifactKey: environmentId.repeat(64) },
});

function openSlots() {
  const engine = createFakeMachine().engine('i1');
  const clock = { now: () => new Date(0) } as Clock;
  const context = { buildSlots: createBuildSlots(1, () => {}), clock, engine };
  const release = takeBuildSlot(context, wish('a'));
  expect(() => takeBuildSlot(context, wish('b'))).toThrow(Waiting);
  const lookAgain = (id: string) => keepWaitingForSlot(context, { id, environmentId: 'b' });
  return { engine, release, lookAgain };
}

test('who waits is told its place again, until it is its turn', async () => {
  const { release, lookAgain } = openSlots();
  await expect(lookAgain('3')).rejects.toThrow(
    'all 1 build slots are taken; the build of "web" starts when one is free (it is next)',
  );
  await expect(lookAgain('3')).rejects.toMatchObject({ position: 1 });
  release();
  await lookAgain('3');
});

test('what is wanted since is looked at, and so is what somebody else has built', async () => {
  const { engine, lookAgain } = openSlots();
  await lookAgain('4');
  await engine.build({
    ...{ key: 'b'.repeat(64), toolchains: [], source: '/dev/null', hook: '', env: {}, timeoutMs: 1 },
    cache: { key: 'c', mode: 'throwaway' },
    labels: { installationId: 'i1', environmentId: 'a', role: 'web', name: 'web' },
    limits: { memoryBytes: 1, pids: 1, cpus: 1 },
    signal: new AbortController().signal,
    onOutput: () => {},
  });
  await lookAgain('3');
});
