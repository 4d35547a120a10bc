import { DEFAULT_PREVIEWS, type PreviewPolicy } from '@bough/manifest/preview-policy';
import { describe, expect, test } from 'vitest';
import { type Judged, judgePull, needsChangedFiles, priorityOf, type Verdict } from './judge-pull.ts';

const pull = { draft: false, author: 'ann', authorIsBot: false, labels: [] as string[] };
const base: Judged = {
  pull,
  policy: DEFAULT_PREVIEWS,
  changedFiles: null,
  isAsked: false,
  has: 'nothing',
  others: { made: 0, waiting: 0 },
};
const judge = (policy: Partial<PreviewPolicy>, over: Partial<Judged> = {}): Verdict =>
  judgePull({ ...base, ...over, policy: { ...DEFAULT_PREVIEWS, ...policy } });
const make = (lazy = false): Verdict => ({ kind: 'make', lazy });

const label: Partial<PreviewPolicy> = { triggers: [{ kind: 'when', label: 'preview', paths: null }] };
const paths: Partial<PreviewPolicy> = { triggers: [{ kind: 'when', label: null, paths: ['web/**'] }] };
const labelled = { pull: { ...pull, labels: ['preview'] } };
const draft = { pull: { ...pull, draft: true } };
const bot = { pull: { ...pull, author: 'renovate[bot]', authorIsBot: true } };

test('without a policy every pull request gets one', () => {
  for (const over of [{}, draft, bot]) expect(judge({}, over)).toEqual(make());
});

describe('triggers', () => {
  test.each<[string, Partial<PreviewPolicy>, Partial<Judged>, string]>([
    ['a label that is there', label, labelled, 'make'],
    ['a label that is not', label, {}, 'hold'],
    ['a label that is not, but somebody asked', label, { isAsked: true }, 'make'],
    ['only on request', { triggers: [{ kind: 'comment' }] }, {}, 'hold'],
    ['on request, and asked', { triggers: [{ kind: 'comment' }] }, { isAsked: true }, 'make'],
    ['paths that it changes', paths, { changedFiles: ['a', 'web/b'] }, 'make'],
    ['paths that it does not', paths, { changedFiles: ['docs/a'] }, 'decline'],
    ['more files than can be listed', paths, { changedFiles: 'too-many' }, 'make'],
    [
      'label and paths, one of them',
      { triggers: [{ kind: 'when', label: 'preview', paths: ['web/**'] }] },
      { ...labelled, changedFiles: ['docs/a'] },
      'hold',
    ],
    [
      'label or paths, one of them',
      { triggers: [...(label.triggers ?? []), ...(paths.triggers ?? [])] },
      { ...labelled, changedFiles: ['docs/a'] },
      'make',
    ],
  ])('%s', (_, policy, over, kind) => {
    expect(judge(policy, over).kind).toBe(kind);
  });

  test('a hold for want of a label says which, and stays quiet', () => {
    expect(judge(label)).toMatchObject({ quiet: true, reason: expect.stringContaining('"preview"') });
  });

  test('what is there stays when its files change, and goes when its label does', () => {
    expect(judge(paths, { has: 'preview', changedFiles: ['docs/a'] }).kind).toBe('make');
    expect(judge(paths, { has: 'preview' }).kind).toBe('make');
    expect(judge({ triggers: [{ kind: 'comment' }] }, { has: 'preview' }).kind).toBe('make');
    expect(judge(label, { ...labelled, has: 'preview' }).kind).toBe('make');
    expect(judge(label, { has: 'preview' }).kind).toBe('away');
    expect(judge(label, { has: 'preview', isAsked: true }).kind).toBe('make');
  });

  test('a row that is held is not dropped without a word', () => {
    expect(judge(paths, { has: 'held', changedFiles: [] })).toMatchObject({ kind: 'hold', quiet: true });
  });
});

describe('drafts and bots', () => {
  test.each<[string, Partial<PreviewPolicy>, Partial<Judged>, Partial<Verdict>]>([
    ['no drafts', { drafts: 'no' }, draft, { kind: 'hold', quiet: true }],
    ['no drafts, and asked', { drafts: 'no' }, { ...draft, isAsked: true }, make()],
    ['no drafts, and it has become one', { drafts: 'no' }, { ...draft, has: 'preview' }, make()],
    ['lazy drafts', { drafts: 'lazy' }, draft, make(true)],
    ['lazy drafts, and not one', { drafts: 'lazy' }, {}, make()],
    ['no bots', { bots: 'no' }, bot, { kind: 'decline' }],
    ['lazy bots', { bots: 'lazy' }, bot, make(true)],
    ['everything lazy', { lazy: true }, {}, make(true)],
    ['lazy, and asked', { lazy: true }, { isAsked: true }, make()],
  ])('%s', (_, policy, over, verdict) => {
    expect(judge(policy, over)).toMatchObject(verdict);
  });
});

describe('a limit', () => {
  const limited: Partial<PreviewPolicy> = { limits: { environments: 2, awake: null } };
  test.each<[string, Partial<Judged>, string]>([
    ['room', { others: { made: 1, waiting: 0 } }, 'make'],
    ['no room', { others: { made: 2, waiting: 0 } }, 'hold'],
    ['room that others waited for longer', { others: { made: 1, waiting: 1 } }, 'hold'],
    ['it has one', { others: { made: 5, waiting: 3 }, has: 'preview' }, 'make'],
    ['asked, and no room', { others: { made: 2, waiting: 0 }, isAsked: true }, 'hold'],
  ])('%s', (_, over, kind) => {
    expect(judge(limited, over).kind).toBe(kind);
  });

  test('says why and in which place', () => {
    const verdict = judge(limited, { others: { made: 2, waiting: 3 } });
    expect(verdict).toMatchObject({
      quiet: false,
      waits: true,
      reason: expect.stringContaining('3 wait before it'),
    });
  });
});

test('files are asked for only where they matter', () => {
  expect(needsChangedFiles({ ...DEFAULT_PREVIEWS })).toBe(false);
  expect(needsChangedFiles({ ...DEFAULT_PREVIEWS, ...label })).toBe(false);
  expect(needsChangedFiles({ ...DEFAULT_PREVIEWS, ...paths })).toBe(true);
});

test('the highest priority of its labels counts', () => {
  const policy = {
    ...DEFAULT_PREVIEWS,
    priorities: [
      { label: 'urgent', priority: 10 },
      { label: 'chore', priority: -5 },
    ],
  };
  expect(priorityOf(policy, ['chore', 'urgent'])).toBe(10);
  expect(priorityOf(policy, ['chore'])).toBe(-5);
  expect(priorityOf(policy, ['x'])).toBe(0);
});
