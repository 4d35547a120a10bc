import { format, inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { redact, Secret } from './secret.ts';

const VALUE = 'hunter2-and-more';
const secret = new Secret(VALUE);

describe('a secret', () => {
  test('is read by reveal() alone', () => {
    expect(secret.reveal()).toBe(VALUE);
  });

  test.each<[string, string]>([
    ['a template', `${secret}`],
    ['String()', String(secret)],
    ['concatenation', `token ${secret}`],
    ['JSON', JSON.stringify({ secret, list: [secret] })],
    ['inspect', inspect(secret)],
    [
      'inspect, nested and with all that is hidden',
      inspect({ a: { b: { c: [secret] } } }, { depth: 9, showHidden: true }),
    ],
    ['format', format('%s %o %j', secret, secret, secret)],
    ['an error', inspect(new Error(`failed with ${secret}`, { cause: { secret } }))],
    ['its keys', JSON.stringify(Object.entries(secret)) + JSON.stringify(Object.getOwnPropertyNames(secret))],
    ['a copy', JSON.stringify({ ...secret })],
  ])('does not print in %s', (_, text) => {
    expect(text).not.toContain('hunter2');
  });

  test('says that something is there', () => {
    expect(JSON.stringify({ secret })).toBe('{"secret":"[redacted]"}');
    expect(inspect({ secret })).toBe('{ secret: [redacted] }');
  });

  test('does not survive a structured clone', () => {
    expect(JSON.stringify(structuredClone({ secret }))).not.toContain('hunter2');
  });
});

describe('redact', () => {
  test('replaces every place of every secret', () => {
    const text = redact(`a ${VALUE} b ${VALUE}, c other-one`, [secret, new Secret('other-one')]);
    expect(text).toBe('a [redacted] b [redacted], c [redacted]');
  });

  test('takes the text literally: no patterns, no replacement signs', () => {
    expect(redact('price: $&.*[x]', [new Secret('$&.*[x]')])).toBe('price: [redacted]');
  });

  test('a secret inside a longer one leaves nothing of the longer one', () => {
    const short = new Secret('abcdef');
    const long = new Secret('abcdef-and-the-rest');
    for (const secrets of [
      [short, long],
      [long, short],
    ])
      expect(redact('x abcdef-and-the-rest y', secrets)).toBe('x [redacted] y');
  });

  test('leaves short values: they would shred ordinary text', () => {
    expect(redact('a line with test in it', [new Secret('test'), new Secret('')])).toBe(
      'a line with test in it',
    );
  });

  test('a secret of several lines does not show line by line', () => {
    const key = '-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n';
    expect(redact('  MIIEvQIBADANBgkq', [new Secret(key)])).not.toContain('MIIEvQIBADANBgkq');
  });

  const odd = new Secret('p@ss/wörd+"1"&more?');
  const value = odd.reveal();
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  test.each<[string, string, string]>([
    ['JSON', JSON.stringify({ value }), '{"value":"[redacted]"}'],
    ['a query', `?k=${encodeURIComponent(value)}&x`, '?k=[redacted]&x'],
    ['small escapes', encodeURIComponent(value).replace(/%../g, (e) => e.toLowerCase()), '[redacted]'],
    ['a form', new URLSearchParams({ k: value }).toString(), 'k=[redacted]'],
    ['base64', `${base64(value)} x`, '[redacted] x'],
    ['base64url', `${Buffer.from(value).toString('base64url')} x`, '[redacted] x'],
    ['hex', `${Buffer.from(value).toString('hex')} x`, '[redacted] x'],
  ])('finds it in %s', (_, text, expected) => {
    expect(redact(text, [odd])).toBe(expected);
  });

  test.each(['a', 'ab', 'abc', 'abcd'])('finds it in a password of %s', (user) => {
    for (const after of ['', '1', '12', '123']) {
      const shown = redact(`Basic ${base64(`${user}:${value}${after}`)}`, [odd]);
      expect(shown).toContain('[redacted]');
      // What is left decodes to less than two bytes of it at each end.
      expect(shown.replace('[redacted]', '').length).toBeLessThan(
        'Basic '.length + base64(`${user}:`).length + 10,
      );
      expect(
        Buffer.from(shown.replace('Basic ', '').replace('[redacted]', ''), 'base64').toString(),
      ).not.toContain('ss/w');
    }
  });

  test('short values are not looked for in pieces either', () => {
    expect(
      redact(`${base64('secret')} ${Buffer.from('abc').toString('hex')}`, [
        new Secret('secret'),
        new Secret('abc'),
      ]),
    ).toBe(`${base64('secret')} 616263`);
  });
});
