import { expect, test } from 'vitest';
import { z } from 'zod';
import { readConfiguration } from './read-configuration.ts';

const Own = z.object({ PORT: z.coerce.number().int(), NAME: z.string().default('bough') });
const Other = z.object({ TOKEN: z.string().min(3) }).transform(({ TOKEN }) => TOKEN.length);

test('each schema gives its part', () => {
  const { own, other } = readConfiguration(
    'worker',
    { PORT: '80', TOKEN: 'abcd' },
    { own: Own, other: Other },
  );
  expect(own).toEqual({ PORT: 80, NAME: 'bough' });
  expect(other).toBe(4);
});

test('all problems of all schemas are said together, by the names of the variables', () => {
  const read = () => readConfiguration('worker', { PORT: 'x', TOKEN: 'a' }, { own: Own, other: Other });
  expect(read).toThrow(/The worker cannot start: PORT .*; TOKEN /);
});

test('an empty variable counts as one that is not set', () => {
  const { own } = readConfiguration('worker', { PORT: '80', NAME: '' }, { own: Own });
  expect(own).toEqual({ PORT: 80, NAME: 'bough' });
});
