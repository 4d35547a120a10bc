import type { PullRequest } from '@bough/forge/forge';
import { DEFAULT_FORKS } from '@bough/manifest/forks-policy';
import { describe, expect, test } from 'vitest';
import { approvalProblem, judgeTrust, type TrustFacts } from './judge-trust.ts';
import { isFork } from './stranger.ts';

const COMMIT = 'a'.repeat(40);
const NOW = new Date('2026-01-02T03:04:05Z');
const hours = (count: number) => new Date(NOW.getTime() + count * 3_600_000);

const approval = {
  ...{ id: '1', commit: COMMIT, manifestDigest: 'm', policyDigest: 'p', approvedBy: 'ada' },
  ...{ approvedAt: hours(-1), expiresAt: hours(1) },
};
const FORK = { kind: 'fork' } as const;
const facts: TrustFacts = {
  stranger: FORK,
  ...{ commit: COMMIT, policy: DEFAULT_FORKS, manifestDigest: 'm', policyDigest: 'p', changedManifest: [] },
  ...{ approval, isIn: false, now: NOW },
};

function pull(change: Partial<PullRequest> = {}): PullRequest {
  return {
    ...{ number: 7, state: 'open', merged: false, title: 'Cart', author: 'mallory', authorIsBot: false },
    ...{ url: 'https://forge/7', draft: false, labels: [], updatedAt: NOW },
    head: { branch: 'cart', commit: COMMIT, repositoryId: 2 },
    base: { branch: 'main', commit: 'b'.repeat(40), repositoryId: 1 },
    ...change,
  };
}

describe('judgeTrust', () => {
  test('an approval of this commit, manifest and policy lets it in', () => {
    expect(judgeTrust(facts)).toEqual({ kind: 'approved' });
  });

  test.each<[string, Partial<TrustFacts>, RegExp]>([
    ['none', { approval: undefined }, /nobody with write access has approved this commit/],
    ['of another manifest', { manifestDigest: 'n' }, /its manifest reads otherwise/],
    ['under another policy', { policyDigest: 'q' }, /the policy of the default branch has changed/],
    ['that has ended', { now: hours(2) }, /has expired/],
    ['of another policy, although it is in', { policyDigest: 'q', isIn: true }, /has changed/],
  ])('an approval %s does not, and the words hold the whole command', (_what, change, words) => {
    const trust = judgeTrust({ ...facts, ...change });
    expect(trust).toMatchObject({ kind: 'held', approvable: true, reason: expect.stringMatching(words) });
    expect(trust.kind === 'held' && trust.reason).toContain(`\`/bough approve ${COMMIT}\``);
  });

  test('what is in goes on when its approval has ended', () => {
    expect(judgeTrust({ ...facts, isIn: true, now: hours(2) })).toEqual({ kind: 'approved' });
  });

  test('a changed manifest is named', () => {
    const trust = judgeTrust({ ...facts, approval: undefined, changedManifest: ['.bough/config.yaml'] });
    expect(trust.kind === 'held' && trust.reason).toContain('Look at `.bough/config.yaml` too');
  });

  test('a policy that declines forks lets in nothing, whoever approved it', () => {
    const policy = { ...DEFAULT_FORKS, mode: 'decline' as const };
    expect(judgeTrust({ ...facts, policy, isIn: true })).toMatchObject({ kind: 'held', approvable: false });
  });
});

describe('approvalProblem', () => {
  test('there is none with the whole id of the head', () => {
    expect(approvalProblem(pull(), FORK, COMMIT)).toBeUndefined();
    expect(approvalProblem(pull(), FORK, COMMIT.toUpperCase())).toBeUndefined();
  });

  test.each([
    ['nothing', ''],
    ['a short id', COMMIT.slice(0, 7)],
    ['almost all of it', COMMIT.slice(0, 39)],
    ['a word', 'please'],
    ['another commit', 'c'.repeat(40)],
  ])('%s is answered with what to type', (_what, argument) => {
    expect(approvalProblem(pull(), FORK, argument)?.hint).toContain(`\`/bough approve ${COMMIT}\``);
  });

  test('what is closed, gone or of this repository needs none', () => {
    expect(approvalProblem('gone', FORK, COMMIT)?.reason).toMatch(/no open pull request/);
    expect(approvalProblem(pull({ state: 'closed' }), FORK, COMMIT)?.reason).toMatch(/no open pull request/);
    const own = pull({ head: { branch: 'cart', commit: COMMIT, repositoryId: 1 } });
    expect(approvalProblem(own, undefined, COMMIT)?.reason).toMatch(/needs no approval/);
  });
});

test('a fork is told by ids: another one, or none any more', () => {
  expect(isFork(pull())).toBe(true);
  expect(isFork(pull({ head: { branch: 'cart', commit: COMMIT, repositoryId: null } }))).toBe(true);
  expect(isFork(pull({ head: { branch: 'cart', commit: COMMIT, repositoryId: 1 } }))).toBe(false);
});
