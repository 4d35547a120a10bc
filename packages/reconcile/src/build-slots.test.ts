import { expect, test } from 'vitest';
import { type BuildSlots, type BuildWish, createBuildSlots } from './build-slots.ts';

const at = (seconds: number) => new Date(seconds * 1_000);
const wish = (environmentId: string, projectId: string, over: Partial<BuildWish> = {}): BuildWish => ({
  ...{ environmentId, projectId, kind: 'preview', priority: 0 },
  ...{ deploymentId: '1', app: 'app', artifactKey: `artifact of ${environmentId}` },
  ...over,
});

/** Answers how to release, or the place. */
function ask(slots: BuildSlots, of: BuildWish, seconds = 0): (() => void) | number {
  const answer = slots.take(of, at(seconds));
  return answer.kind === 'taken' ? answer.release : answer.position;
}

function take(slots: BuildSlots, of: BuildWish, seconds = 0): () => void {
  const answer = ask(slots, of, seconds);
  if (typeof answer === 'number') throw new Error(`place ${answer} in the queue`);
  return answer;
}

test('a project with many takes turns with one that has a single one, and production comes first', () => {
  const called: (readonly string[])[] = [];
  const slots = createBuildSlots(1, (ids) => called.push(ids));
  const first = take(slots, wish('a1', 'a'));
  expect([ask(slots, wish('a2', 'a')), ask(slots, wish('a3', 'a'))]).toEqual([1, 2]);
  expect(ask(slots, wish('b1', 'b'))).toBe(1);
  expect(ask(slots, wish('a9', 'a', { kind: 'production' }))).toBe(1);
  expect(ask(slots, wish('a3', 'a'))).toBe(4);
  first();
  expect(called).toEqual([['a9']]);
  // Whoever asks first does not overtake.
  expect(ask(slots, wish('a2', 'a'))).toBe(3);
  const production = take(slots, wish('a9', 'a', { kind: 'production' }));
  production();
  production();
  take(slots, wish('b1', 'b'))();
  take(slots, wish('a2', 'a'))();
  take(slots, wish('a3', 'a'))();
  expect(called).toEqual([['a9'], ['b1'], ['a2'], ['a3']]);
});

test('a higher priority comes before who waits longer', () => {
  const slots = createBuildSlots(1, () => {});
  take(slots, wish('a1', 'a'));
  expect(ask(slots, wish('a2', 'a'))).toBe(1);
  expect(ask(slots, wish('a3', 'a', { priority: 5 }))).toBe(1);
  expect(ask(slots, wish('a2', 'a'))).toBe(2);
});

test('who looks again has its place, counts as having asked, and learns that it is its turn', () => {
  const slots = createBuildSlots(1, () => {});
  const first = take(slots, wish('a1', 'a'));
  ask(slots, wish('a2', 'a'));
  ask(slots, wish('a3', 'a'));
  const again = (id: string, seconds: number) => slots.askAgain(id, at(seconds));
  expect(again('a1', 0)).toBeUndefined();
  expect(again('a3', 14)).toMatchObject({ position: 2, isTurn: false, wish: wish('a3', 'a') });
  expect(again('a3', 20)).toMatchObject({ position: 1, isTurn: false });
  first();
  expect(again('a3', 30)).toMatchObject({ position: 1, isTurn: true });
});

test('nobody waits for who went away, and who says so makes way at once', () => {
  const called: (readonly string[])[] = [];
  const slots = createBuildSlots(1, (ids) => called.push(ids));
  const first = take(slots, wish('a1', 'a'));
  ask(slots, wish('a2', 'a'));
  ask(slots, wish('a3', 'a'), 10);
  first();
  slots.leave('a2');
  expect(called).toEqual([['a2'], ['a3']]);
  slots.leave('never-asked');
  const again = take(slots, wish('a3', 'a'), 10);
  ask(slots, wish('a4', 'a'), 10);
  ask(slots, wish('a5', 'a'), 20);
  again();
  expect(ask(slots, wish('a5', 'a'), 20)).toBe(2);
  expect(typeof ask(slots, wish('a5', 'a'), 26)).toBe('function');
});
