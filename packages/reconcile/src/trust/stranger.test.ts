import { BoughError } from '@bough/domain/bough-error';
import type { PullRequest } from '@bough/forge/forge';
import { expect, test } from 'vitest';
import { findStranger, strangerWords } from './stranger.ts';

const repository = { id: 1, owner: 'acme', name: 'shop' };
const pull: PullRequest = {
  ...{ number: 7, state: 'open', merged: false, title: 'Cart', author: 'ann', authorIsBot: false },
  ...{ url: 'https://forge/7', draft: false, labels: [], updatedAt: new Date(0) },
  head: { branch: 'cart', commit: 'a'.repeat(40), repositoryId: 1 },
  base: { branch: 'main', commit: 'b'.repeat(40), repositoryId: 1 },
};
const renovate = { ...pull, author: 'renovate[bot]', authorIsBot: true };
type Level = 'admin' | 'write' | 'read' | 'none';
type Asked = Partial<Omit<Parameters<typeof findStranger>[0], 'repository' | 'forge'>>;

/** With what the forge says of anybody; undefined: it must not be asked. */
const find = (level: Level | BoughError | undefined, over: Asked = {}) =>
  findStranger({
    ...{ repository, pull, current: undefined, policy: { trustedBots: [] } },
    forge: {
      permission: async () => {
        if (level === undefined) throw new Error('nobody should have asked');
        if (level instanceof BoughError) throw level;
        return level;
      },
    },
    ...over,
  });

test.each<[Level, string | undefined]>([
  ['admin', undefined],
  ['write', undefined],
  ['read', 'outsider'],
  ['none', 'outsider'],
])('an author who has %s', async (level, kind) => {
  expect((await find(level))?.kind).toBe(kind);
});

test.each<[string, readonly string[], string | undefined]>([
  ['nobody named', [], 'bot'],
  ['another', ['dependabot'], 'bot'],
  ['a part of its name', ['renov'], 'bot'],
  ['its name', ['Renovate'], undefined],
  ['its login', ['renovate[bot]'], undefined],
])('a bot where the policy trusts %s', async (_what, trustedBots, kind) => {
  expect((await find(undefined, { pull: renovate, policy: { trustedBots } }))?.kind).toBe(kind);
});

test('a person who is called like a trusted bot is asked about', async () => {
  const pretender = { ...pull, author: 'renovate' };
  expect((await find('none', { pull: pretender, policy: { trustedBots: ['renovate'] } }))?.kind).toBe(
    'outsider',
  );
});

test('a fork stays one, whoever proposes it', async () => {
  const head = { ...pull.head, repositoryId: 2 };
  expect(await find(undefined, { pull: { ...pull, head } })).toEqual({ kind: 'fork' });
  const policy = { trustedBots: ['renovate'] };
  expect(await find(undefined, { pull: { ...renovate, head }, policy })).toEqual({ kind: 'fork' });
});

test('what was found trusted is not asked about again, what is away or a stranger’s is', async () => {
  const current = { trust: 'trusted', desiredState: 'asleep' } as const;
  expect(await find(undefined, { current })).toBeUndefined();
  expect(await find('none', { current: { ...current, desiredState: 'absent' } })).toBeDefined();
  expect(await find('none', { current: { ...current, trust: 'untrusted' } })).toBeDefined();
  // The policy may have changed.
  expect((await find(undefined, { current, pull: renovate }))?.kind).toBe('bot');
});

test('a forge that may not tell is no answer, one that cannot tell now is asked later', async () => {
  const forbidden = new BoughError({ code: 'forge-forbidden', message: 'no' });
  const stranger = await find(forbidden);
  expect(stranger).toEqual({ kind: 'unknown', author: 'ann' });
  expect(stranger && strangerWords(stranger)).toContain('does not tell whether its author ann may write');
  const down = new BoughError({ code: 'forge-unreachable', message: 'no', retryable: true });
  await expect(find(down)).rejects.toBe(down);
});
