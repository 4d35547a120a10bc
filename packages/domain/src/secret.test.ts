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
});
