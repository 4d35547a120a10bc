import { expect, test } from 'vitest';
import { DEFAULT_FORKS } from './forks-policy.ts';
import { readManifest } from './read-manifest.ts';

const app = 'applications:\n  shop:\n    type: "nodejs:22"\n';

function forksOf(previews: string) {
  const result = readManifest({ '.bough/config.yaml': `${app}${previews}` });
  if (result.kind !== 'manifest') throw new Error(JSON.stringify(result));
  return result.manifest.previews.forks;
}

test('forks are held, an approval lasts three days, their builds reach the public internet', () => {
  expect(forksOf('')).toEqual(DEFAULT_FORKS);
  expect(forksOf('previews: { forks: }\n')).toEqual({
    mode: 'hold',
    approvalSeconds: 259_200,
    network: 'public',
  });
});

test('each of it can be said', () => {
  expect(forksOf('previews:\n  forks: { mode: decline, approval_expires: 12h, network: none }\n')).toEqual({
    ...{ mode: 'decline', approvalSeconds: 43_200, network: 'none' },
  });
});

test.each([
  ['mode: allow', '6:11', /mode cannot be "allow"/],
  ['network: registry', '6:14', /network cannot be "registry"/],
  ['approval_expires: soon', '6:23', /approval_expires must be a length of time, not "soon"/],
  ['trust: all', '6:5', /unknown key "trust"/],
])('%s is a problem at its place', (line, place, message) => {
  const result = readManifest({ '.bough/config.yaml': `${app}previews:\n  forks:\n    ${line}\n` });
  if (result.kind !== 'problems') throw new Error('it was taken');
  expect(result.problems.map((problem) => `${problem.line}:${problem.column}`)).toEqual([place]);
  expect(result.problems[0]?.message).toMatch(message);
});
