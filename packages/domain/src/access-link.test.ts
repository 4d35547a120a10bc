import { expect, test } from 'vitest';
import { linkTo, readAccess, signAccess } from './access-link.ts';
import { Secret } from './secret.ts';

const KEY = new Secret('a key of this installation');
const SCOPE = { environmentId: '7', epoch: 0 };
const NOW = new Date('2026-01-02T03:04:05Z');
const later = (seconds: number) => new Date(NOW.getTime() + seconds * 1_000);
const token = signAccess(KEY, 'link', SCOPE, later(60));

test('a link lets in until its time is over', () => {
  expect(readAccess(KEY, 'link', SCOPE, token, NOW)).toEqual({ kind: 'valid', expiresAt: later(60) });
  expect(readAccess(KEY, 'link', SCOPE, token, later(59)).kind).toBe('valid');
  expect(readAccess(KEY, 'link', SCOPE, token, later(60)).kind).toBe('expired');
});

const [expires = '', mac = ''] = token.split('.');
test.each([
  ['another environment', { ...SCOPE, environmentId: '8' }, token],
  ['another epoch', { ...SCOPE, epoch: 1 }, token],
  ['a later end', SCOPE, `${signAccess(KEY, 'link', SCOPE, later(600)).split('.')[0]}.${mac}`],
  ['another spelling of its end', SCOPE, `0${expires}.${mac}`],
  ['a shorter signature', SCOPE, `${expires}.${mac.slice(1)}`],
  ['no signature', SCOPE, `${expires}.`],
  ['another key', SCOPE, signAccess(new Secret('former'), 'link', SCOPE, later(60))],
  ['a cookie’s value', SCOPE, signAccess(KEY, 'visit', SCOPE, later(60))],
  ['nothing', SCOPE, ''],
])('it does not fit %s', (_what, scope, given) => {
  expect(readAccess(KEY, 'link', scope, given, NOW)).toEqual({ kind: 'wrong' });
});

test('it is put behind what the address asks already', () => {
  expect(linkTo('http://a.localhost/', 'x.y')).toBe('http://a.localhost/?bough_link=x.y');
  expect(linkTo('http://a.localhost/?b=1', 'x.y')).toBe('http://a.localhost/?b=1&bough_link=x.y');
});
