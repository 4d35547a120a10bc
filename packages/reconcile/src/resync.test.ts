import type { Environment } from '@bough/domain/environment';
import type { PullRequest } from '@bough/forge/forge';
import { expect, test } from 'vitest';
import { differingSubjects } from './resync.ts';

const COMMIT = 'a'.repeat(40);

function open(number: number, commit = COMMIT): PullRequest {
  return {
    number,
    state: 'open',
    merged: false,
    title: 't',
    author: 'ann',
    authorIsBot: false,
    url: 'u',
    draft: false,
    labels: [],
    head: { branch: 'b', commit, repositoryId: 1 },
    base: { branch: 'main', commit: COMMIT, repositoryId: 1 },
    updatedAt: new Date(0),
  };
}

type Row = Pick<Environment, 'subject' | 'desiredState' | 'desiredCommit' | 'facts'>;
const row = (subject: string, over: Partial<Row> = {}): Row => ({
  subject,
  desiredState: 'running',
  desiredCommit: COMMIT,
  facts: { labels: [], draft: false },
  ...over,
});

test.each<[string, Row[], PullRequest[], string[]]>([
  ['nothing anywhere', [], [], []],
  ['all alike', [row('pull/1'), row('pull/2')], [open(1), open(2)], []],
  ['an opening that was missed', [], [open(1)], ['pull/1']],
  ['a push that was missed', [row('pull/1')], [open(1, 'b'.repeat(40))], ['pull/1']],
  [
    'one whose author the forge did not tell about',
    [row('pull/1', { facts: { labels: [], draft: false, untold: true } })],
    [open(1)],
    ['pull/1'],
  ],
  ['a label that was missed', [row('pull/1')], [{ ...open(1), labels: ['preview'] }], ['pull/1']],
  ['its loss', [row('pull/1', { facts: { labels: ['preview'], draft: false } })], [open(1)], ['pull/1']],
  [
    'labels in another order',
    [row('pull/1', { facts: { labels: ['b', 'a'], draft: false } })],
    [{ ...open(1), labels: ['a', 'b'] }],
    [],
  ],
  ['"ready for review" that was missed', [row('pull/1')], [{ ...open(1), draft: true }], ['pull/1']],
  ['a closing that was missed', [row('pull/1')], [], ['pull/1']],
  ['a preview that is asleep at its head', [row('pull/1', { desiredState: 'asleep' })], [open(1)], []],
  ['one being removed whose pull request is closed', [row('pull/1', { desiredState: 'absent' })], [], []],
  ['one that was deleted on request', [row('pull/1', { desiredState: 'absent' })], [open(1)], []],
  ['a branch preview is no pull request', [row('branch/pull/1')], [], []],
  ['production is none either', [row('production')], [open(1)], ['pull/1']],
  ['numbers that start alike', [row('pull/1')], [open(11)], ['pull/11', 'pull/1']],
])('%s', (_, rows, pulls, expected) => {
  expect(differingSubjects(rows, pulls)).toEqual(expected);
});
