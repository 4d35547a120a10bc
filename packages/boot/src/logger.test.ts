import { BoughError } from '@bough/domain/bough-error';
import { Secret } from '@bough/domain/secret';
import { expect, test } from 'vitest';
import { createLogger, redactUrls } from './logger.ts';

function logger(secrets: Secret[] = [], level = 'info') {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ name: 'worker', level, destination, secrets: () => secrets });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> };
}

test('writes a static message and fields, with the level as a word', () => {
  const { log, last } = logger();
  log.info({ environmentId: 7 }, 'deployed');
  expect(last()).toMatchObject({ level: 'info', name: 'worker', environmentId: 7, msg: 'deployed' });
  expect(String(last().time)).toMatch(/^\d{4}-\d\d-\d\dT/);
});

test('never prints a Secret, a field named like one, or the password of a URL', () => {
  const { log, lines } = logger();
  log.info(
    { key: new Secret('hunter22-a'), token: 'hunter22-b', request: { authorization: 'Bearer hunter22-c' } },
    'one',
  );
  log.info(
    { url: 'postgres://bough:hunter22-d@127.0.0.1:5432/bough' },
    'redis://:hunter22-e@127.0.0.1 is there',
  );
  expect(lines.join('')).not.toContain('hunter22');
  expect(lines.join('')).toContain('postgres://bough:[redacted]@127.0.0.1:5432/bough');
});

test('removes known secret values from wherever they are, also across lines', () => {
  const pem = '-----BEGIN KEY-----\nAAAA"BBBB\n-----END KEY-----';
  const secrets = [new Secret('hunter22')];
  const { log, lines } = logger(secrets);
  secrets.push(new Secret(pem));
  log.warn({ err: new Error(`cannot log in with hunter22 and ${pem}`) }, 'hunter22 failed');
  expect(lines.join('')).not.toMatch(/hunter22|AAAA/);
  expect(() => JSON.parse(lines[0] ?? '')).not.toThrow();
});

test('shows of our errors the code and the hint, and their causes', () => {
  const { log, last } = logger();
  const cause = new Error('ECONNREFUSED');
  log.error(
    { err: new BoughError({ code: 'redis-unreachable', message: 'No.', hint: 'Start it.', cause }) },
    'failed',
  );
  expect(last().err).toMatchObject({
    code: 'redis-unreachable',
    hint: 'Start it.',
    cause: { message: 'ECONNREFUSED' },
  });
});

test('keeps quiet below its level', () => {
  const { log, lines } = logger([], 'warn');
  log.info({}, 'unheard');
  expect(lines).toEqual([]);
});

test('leaves URLs without a password as they are', () => {
  const text = 'see https://example.com/a:b@c and http://localhost:3000/x?y=1@2';
  expect(redactUrls(text)).toBe(text);
});
