import { DEFAULT_FORKS } from '@bough/manifest/forks-policy';
import { readManifest } from '@bough/manifest/read-manifest';
import { expect, test } from 'vitest';
import { review } from './review.ts';

const of = (text: string, diff = '') =>
  review({ result: readManifest({ '.bough/config.yaml': text }), diff, policy: DEFAULT_FORKS });

const APP = `applications:
  shop:
    type: "nodejs:22"
    hooks: { build: "npm run build", deploy: "npm run migrate" }
    relationships: { database: "db:postgresql" }
    web: { commands: { start: "node server.js" } }
    workers: { jobs: { commands: { start: "node jobs.js" } } }
services: { db: { type: "postgresql:16" } }
routes: { "https://{default}/": { type: upstream, upstream: "shop:http" } }
`;

test('says what would run, where it would answer and beside what', () => {
  expect(of(APP)).toMatchObject({
    ...{ diff: [], diffLeftOut: 0, problem: null, network: 'public' },
    runs: {
      services: ['db: postgresql:16'],
      routes: ['https://{default}/ → shop'],
      leftOut: 0,
    },
  });
  const commands = of(APP).runs?.commands.filter(({ when }) => when !== 'build flavor');
  expect(commands?.map(({ of: app, when, command }) => `${app} ${when}: ${command}`)).toEqual([
    'shop (nodejs:22) build: npm run build',
    'shop (nodejs:22) deploy: npm run migrate',
    'shop (nodejs:22) start: node server.js',
    'shop (nodejs:22) worker jobs: node jobs.js',
  ]);
});

test('a manifest that does not read says where, and nothing that would run', () => {
  expect(of('applications: { shop: { type: nodejs:22, wub: {} } }\n')).toMatchObject({
    runs: null,
    problem: expect.stringMatching(/does not read.*\.bough\/config\.yaml:1/),
  });
  expect(review({ result: { kind: 'absent' }, diff: '', policy: DEFAULT_FORKS }).problem).toMatch(
    /no manifest/,
  );
});

test('what is long is cut, and says by how much', () => {
  const many = of(APP, Array.from({ length: 500 }, (_, line) => `+line ${line}\n`).join(''));
  expect([many.diff.length, many.diffLeftOut]).toEqual([150, 350]);
  const wide = of(APP, `${'+'.repeat(10_000)}\n`.repeat(100));
  expect(wide.diff.join('').length).toBeLessThan(8_000);
  expect(wide.diff.length + wide.diffLeftOut).toBe(100);
  const hook = of(APP.replace('npm run build', 'x'.repeat(5_000))).runs?.commands.find(
    ({ when }) => when === 'build',
  );
  expect(hook?.command.length).toBeLessThan(500);
});
