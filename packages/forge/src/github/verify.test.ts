import { createHmac } from 'node:crypto';
import { Secret } from '@bough/domain/secret';
import { expect, it } from 'vitest';
import { createVerify } from './verify.ts';

const body = Buffer.from('{"zen":"Grüße 🌳"}');
const sign = (secret: string, bytes: Buffer = body) =>
  `sha256=${createHmac('sha256', secret).update(bytes).digest('hex')}`;
const verify = createVerify({ webhookSecrets: [new Secret('old secret'), new Secret('new secret')] });

it('accepts a signature by any of the secrets, so that they can be rotated', async () => {
  expect(await verify(body, { 'x-hub-signature-256': sign('old secret') })).toBe('valid');
  expect(await verify(body, { 'X-Hub-Signature-256': sign('new secret') })).toBe('valid');
});

it('refuses a signature by another secret, of other bytes, or of another length', async () => {
  const other = Buffer.from('{"zen":"Grüße 🌲"}');
  expect(await verify(body, { 'x-hub-signature-256': sign('third secret') })).toBe('invalid');
  expect(await verify(other, { 'x-hub-signature-256': sign('old secret') })).toBe('invalid');
  expect(await verify(body, { 'x-hub-signature-256': 'sha256=abc' })).toBe('invalid');
  expect(await verify(Buffer.alloc(0), { 'x-hub-signature-256': sign('old secret', Buffer.alloc(0)) })).toBe(
    'invalid',
  );
});

it('does not take the old sha1 signature for one', async () => {
  const sha1 = `sha1=${createHmac('sha1', 'old secret').update(body).digest('hex')}`;
  expect(await verify(body, { 'x-hub-signature': sha1 })).toBe('absent');
  expect(await verify(body, { 'x-hub-signature-256': sha1 })).toBe('invalid');
});

it('verifies nothing when no secret is configured', async () => {
  const open = createVerify({ webhookSecrets: [] });
  expect(await open(body, { 'x-hub-signature-256': sign('') })).toBe('invalid');
});
