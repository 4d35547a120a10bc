import { BoughError } from '@bough/domain/bough-error';
import { Secret } from '@bough/domain/secret';
import { expect, test } from 'vitest';
import { ManifestProblems } from './deploy/manifest-problems.ts';
import { withoutSecrets } from './without-secrets.ts';

const password = new Secret('hunter22-hunter22');

test('no part of a failure that people see holds a secret', () => {
  const error = new BoughError({
    code: 'app-crashes',
    message: 'It said hunter22-hunter22.',
    hint: 'Not hunter22-hunter22.',
    tail: ['connecting to postgresql://shop:hunter22-hunter22@database.internal/main', 'refused'],
    retryable: true,
  });
  expect(withoutSecrets(error, new Set([password]))).toMatchObject({
    code: 'app-crashes',
    message: 'It said [redacted].',
    hint: 'Not [redacted].',
    tail: ['connecting to postgresql://shop:[redacted]@database.internal/main', 'refused'],
    retryable: true,
  });
});

test('problems of a manifest keep their places, and what is no failure of ours stays what it is', () => {
  const problems = new ManifestProblems([]);
  expect(withoutSecrets(problems, [password])).toBe(problems);
  const bug = new TypeError('x is not a function');
  expect(withoutSecrets(bug, [password])).toBe(bug);
});
