import { expect, test } from 'vitest';
import { chooseTools } from './dump-tools.ts';

const machine = [{ major: 17 }, { major: 14 }, { major: 16 }];

test.each([
  ['the newest that the target understands', { least: 14, target: 16 }, 16],
  ['for a file, which any of them may have written, too', { least: 0, target: 16 }, 16],
  ['none older than the source', { least: 15, target: 15 }, 16],
  ['a newer one where the certificate is to be looked at', { least: 14, target: 14, wished: 16 }, 16],
  ['what there is where that cannot be had', { least: 14, target: 14, wished: 18 }, 14],
  ['none where all are older than the source', { least: 18, target: 18 }, undefined],
])('%s', (_, need, major) => {
  expect(chooseTools(machine, need)?.major).toBe(major);
});
