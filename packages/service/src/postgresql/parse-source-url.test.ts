import { expect, test } from 'vitest';
import { parseSourceUrl, withRoots } from './parse-source-url.ts';

const parse = (url: string) => parseSourceUrl(url, 'database');
const thrownBy = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('it was taken');
};

test('what pg_dump is told, and not on its command line', () => {
  const { env, secret } = parse(
    'postgresql://u%40x:p%25@db.example.com/main?sslmode=require&channel_binding=require',
  );
  expect(secret).toBe('p%');
  expect(env).toMatchObject({
    ...{ PGHOST: 'db.example.com', PGPORT: '5432', PGUSER: 'u@x', PGPASSWORD: 'p%', PGDATABASE: 'main' },
    PGSSLMODE: 'require',
  });
  expect(parse('postgres://u:p@h/main').env.PGSSLMODE).toBe('prefer');
});

test.each([
  'postgresql://u:100%@h/main',
  'postgresql://u%:p@h/main',
  'postgresql://u:p@h/%',
  'mysql://u:p@h/main',
])('%s is no connection string', (url) => {
  expect(thrownBy(() => parse(url))).toMatchObject({
    code: 'source-malformed',
    hint: expect.stringContaining('%25'),
  });
});

test.each([
  '?sslmode=requier',
  '?sslmode=',
  '?ssl=true',
  '?sslmode=disable&sslmode=require',
  '?sslrootcert=/x',
])('%s is no word for encryption, and is not passed over', (query) => {
  expect(thrownBy(() => parse(`postgresql://u:p@h/main${query}`))).toMatchObject({
    code: 'source-malformed',
    hint: expect.stringContaining('disable, allow, prefer, require, verify-ca, verify-full'),
  });
});

test('a certificate is checked against the roots of the system, or not taken for checked', () => {
  for (const mode of ['verify-ca', 'verify-full']) {
    const login = parse(`postgresql://u:p@h/main?sslmode=${mode}`);
    expect(withRoots(login, 16, 'database').env).toMatchObject({
      ...{ PGSSLMODE: 'verify-full', PGSSLROOTCERT: 'system' },
    });
    expect(thrownBy(() => withRoots(login, 15, 'database'))).toMatchObject({
      code: 'source-malformed',
      hint: expect.stringContaining('sslmode=require'),
    });
  }
  const login = parse('postgresql://u:p@h/main?sslmode=require');
  expect(withRoots(login, 15, 'database')).toBe(login);
});
