import { randomBytes } from 'node:crypto';
import { Secret } from '@bough/domain/secret';
import { expect, test } from 'vitest';
import { createEncryption } from './encryption.ts';

const key = () => new Secret(randomBytes(32).toString('hex'));
const value = new Secret('pässwörd');

test('gives back what was encrypted, differently each time', () => {
  const encryption = createEncryption({ current: key() });
  const [one, two] = [encryption.encrypt(value, 'variable:1:A'), encryption.encrypt(value, 'variable:1:A')];
  expect(one.equals(two)).toBe(false);
  expect(one.includes('ssw')).toBe(false);
  expect(encryption.decrypt(one, 'variable:1:A').reveal()).toBe('pässwörd');
});

test('takes the empty string, and a key in base64', () => {
  const encryption = createEncryption({ current: new Secret(randomBytes(32).toString('base64')) });
  expect(encryption.decrypt(encryption.encrypt(new Secret(''), 'c'), 'c').reveal()).toBe('');
});

test('refuses a value that belongs to another row, and a damaged one', () => {
  const encryption = createEncryption({ current: key() });
  const encrypted = encryption.encrypt(value, 'variable:1:A');
  const damaged = expect.objectContaining({ code: 'encrypted-value-damaged' });
  expect(() => encryption.decrypt(encrypted, 'variable:2:A')).toThrow(damaged);
  for (const at of [0, 8, 20, encrypted.length - 1]) {
    const flipped = Buffer.from(encrypted);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    expect(() => encryption.decrypt(flipped, 'variable:1:A')).toThrow(damaged);
  }
  expect(() => encryption.decrypt(Buffer.alloc(0), 'variable:1:A')).toThrow(damaged);
});

test('says that the key is another one, and reads with a former key', () => {
  const [former, current] = [key(), key()];
  const encrypted = createEncryption({ current: former }).encrypt(value, 'c');
  const wrong = expect.objectContaining({ code: 'master-key-wrong' });
  expect(() => createEncryption({ current }).decrypt(encrypted, 'c')).toThrow(wrong);
  const both = createEncryption({ current, former: [former] });
  expect(both.decrypt(encrypted, 'c').reveal()).toBe('pässwörd');
});

test.each(['', 'short', 'f'.repeat(63)])('refuses %j as a key', (text) => {
  const malformed = expect.objectContaining({ code: 'master-key-malformed' });
  expect(() => createEncryption({ current: new Secret(text) })).toThrow(malformed);
});
