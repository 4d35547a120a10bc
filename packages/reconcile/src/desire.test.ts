import type { PullRequest } from '@bough/forge/forge';
import type { Request } from '@bough/store/requests';
import { describe, expect, test } from 'vitest';
import { desire, type Observation } from './desire.ts';
import { isFork } from './trust/stranger.ts';

const COMMIT = 'a'.repeat(40);

function pull(over: Partial<PullRequest> = {}): PullRequest {
  return {
    number: 7,
    state: 'open',
    merged: false,
    title: 'Add a cart',
    author: 'ann',
    authorIsBot: false,
    url: 'https://github.com/acme/shop/pull/7',
    draft: false,
    labels: [],
    head: { branch: 'cart', commit: COMMIT, repositoryId: 99 },
    base: { branch: 'main', commit: 'b'.repeat(40), repositoryId: 99 },
    updatedAt: new Date(0),
    ...over,
  };
}

function request(kind: Request['kind'], id = '5'): Request {
  return {
    id,
    projectId: '1',
    subject: 'pull/7',
    kind,
    argument: null,
    askedBy: 'ada',
    askedAt: new Date(0),
  };
}

const ofPull = (found: PullRequest | 'gone'): Observation => ({ kind: 'pull', pull: found });
const ofBranch = (head: { commit: string } | 'gone'): Observation => ({ kind: 'branch', branch: 'x', head });
const ofProduction = (mode: 'external' | 'managed', head: { commit: string } | 'gone'): Observation => ({
  kind: 'production',
  mode,
  head,
  branch: 'main',
});

describe('sleep', () => {
  const asleep = { desiredState: 'asleep', desiredCommit: COMMIT, heldReason: null } as const;
  const running = { desiredState: 'running', desiredCommit: COMMIT, heldReason: null } as const;
  test.each<[string, Request[], Parameters<typeof desire>[3], string]>([
    ['a new one runs', [], undefined, 'running'],
    ['what sleeps goes on sleeping', [], asleep, 'kept'],
    ['what runs goes on running', [], running, 'kept'],
    ['a push wakes', [], { ...asleep, desiredCommit: 'c'.repeat(40) }, 'running'],
    ['sleep', [request('sleep')], running, 'asleep'],
    ['wake', [request('wake')], asleep, 'running'],
    ['the last word counts', [request('wake', '5'), request('sleep', '6')], running, 'asleep'],
    ['who deploys wants it awake', [request('sleep', '5'), request('redeploy', '6')], asleep, 'running'],
    ['keep wakes nobody', [request('keep')], asleep, 'kept'],
  ])('%s', (_, requests, current, state) => {
    expect(desire(ofPull(pull()), requests, undefined, current)).toMatchObject({ kind: 'running', state });
  });

  test('it says who asked for it', () => {
    expect(desire(ofPull(pull()), [request('sleep')], undefined, running)).toMatchObject({
      sleepReason: 'ada asked for it',
    });
  });
});

describe('a pull request', () => {
  test('open: runs its head, and is not held', () => {
    expect(desire(ofPull(pull()), [], undefined)).toEqual({
      kind: 'running',
      trust: 'trusted',
      commit: COMMIT,
      heldReason: null,
      heldQuiet: false,
      heldWaits: false,
      requestId: null,
      state: 'running',
      sleepReason: null,
      facts: {
        title: 'Add a cart',
        author: 'ann',
        url: 'https://github.com/acme/shop/pull/7',
        branch: 'cart',
        baseBranch: 'main',
        labels: [],
        draft: false,
        number: 7,
      },
    });
  });

  test.each<[string, PullRequest | 'gone', RegExp]>([
    ['closed', pull({ state: 'closed' }), /closed/],
    ['merged', pull({ state: 'closed', merged: true }), /merged/],
    ['gone', 'gone', /gone/],
  ])('%s: is removed, and says so', (_, found, reason) => {
    expect(desire(ofPull(found), [], undefined)).toEqual({
      kind: 'absent',
      reason: expect.stringMatching(reason),
    });
  });

  test('closed: removed, whatever anybody asked for', () => {
    const asked = request('redeploy');
    expect(desire(ofPull(pull({ state: 'closed' })), [asked], asked).kind).toBe('absent');
  });

  test.each<[string, number | null]>([
    ['of another repository', 100],
    ['of a repository that was deleted', null],
  ])('whose head is %s: is held, with a reason', (_, repositoryId) => {
    const forked = pull({ head: { branch: 'cart', commit: COMMIT, repositoryId } });
    expect(isFork(forked)).toBe(true);
    const desired = desire(ofPull(forked), [request('redeploy')], undefined);
    expect(desired).toMatchObject({ kind: 'running', heldReason: expect.stringContaining('fork') });
  });

  test('deleted on request: stays away until somebody asks for it again', () => {
    expect(desire(ofPull(pull()), [], request('delete'))).toMatchObject({
      kind: 'absent',
      reason: expect.stringContaining('ada'),
    });
    expect(desire(ofPull(pull()), [], request('open')).kind).toBe('running');
  });

  test('the newest open request is the one that is answered', () => {
    const desired = desire(ofPull(pull()), [request('redeploy', '5'), request('rebuild', '6')], undefined);
    expect(desired).toMatchObject({ kind: 'running', requestId: '6' });
  });

  test('a draft runs too, and a label changes nothing but what is known of it', () => {
    const plain = desire(ofPull(pull()), [], undefined);
    if (plain.kind !== 'running') throw new Error('it is to run');
    const facts = { ...plain.facts, draft: true, labels: ['x'] };
    expect(desire(ofPull(pull({ draft: true, labels: ['x'] })), [], undefined)).toEqual({ ...plain, facts });
  });
});

describe('production', () => {
  test('external: a push deploys nothing, and the reason says what to do', () => {
    const desired = desire(ofProduction('external', { commit: COMMIT }), [request('redeploy')], undefined);
    expect(desired).toMatchObject({ kind: 'declined', reason: expect.stringContaining('managed') });
  });

  test('managed: runs the head of the default branch', () => {
    expect(desire(ofProduction('managed', { commit: COMMIT }), [], undefined)).toMatchObject({
      kind: 'running',
      commit: COMMIT,
      heldReason: null,
    });
  });

  test('is never removed: not for a missing branch, not on a request to delete', () => {
    expect(desire(ofProduction('managed', 'gone'), [], undefined).kind).toBe('declined');
    const deletion = request('delete');
    expect(desire(ofProduction('managed', { commit: COMMIT }), [deletion], deletion).kind).not.toBe('absent');
    expect(desire(ofProduction('managed', 'gone'), [deletion], deletion).kind).not.toBe('absent');
  });
});

describe('a branch', () => {
  test('gets an environment only when somebody asks for one', () => {
    expect(desire(ofBranch({ commit: COMMIT }), [], undefined)).toMatchObject({
      kind: 'declined',
      reason: expect.stringContaining('bough env open'),
    });
    expect(desire(ofBranch({ commit: COMMIT }), [], request('open'))).toMatchObject({
      kind: 'running',
      commit: COMMIT,
    });
  });

  test('keeps following its head under the request that opened it, so that a push is a new commit only', () => {
    const open = request('open', '5');
    const first = desire(ofBranch({ commit: COMMIT }), [open], open);
    const later = desire(ofBranch({ commit: COMMIT }), [], open);
    expect(later).toEqual(first);
  });

  test('goes when the branch goes, or on request', () => {
    expect(desire(ofBranch('gone'), [], request('open'))).toMatchObject({ kind: 'absent' });
    expect(desire(ofBranch({ commit: COMMIT }), [], request('delete'))).toMatchObject({ kind: 'absent' });
  });
});
