import type { Review } from '@bough/domain/review';
import { describe, expect, test } from 'vitest';
import {
  COMMIT,
  EARLIER,
  exampleDeployment,
  exampleRoute,
  exampleState,
  exampleStep,
} from '../test/example-state.ts';
import type { FeedbackState } from './feedback-state.ts';
import { commentMarker, renderComment } from './render-comment.ts';
import { seconds } from './seconds.ts';

const failure = {
  code: 'hook-failed',
  message: 'The deploy hook of `app` ended with code 1.',
  hint: 'Read the last lines below; push a fix.',
  tail: ['npm error Missing script: "migrate"', '```', '@team fixes #1'],
};
const running = exampleDeployment({ state: 'running', finishedAt: null });
const unobserved = { observedGeneration: '1' };
const first = {
  ...unobserved,
  releaseDeploymentId: null,
  dataState: 'undecided',
  dataSnapshotId: null,
  dataNote: null,
} as const;
const atBuild = {
  deployments: [running],
  routes: [exampleRoute({ state: 'starting', target: null })],
  steps: [exampleStep('checkout'), exampleStep('build', { state: 'running', finishedAt: null })],
  data: null,
};
const link = { kind: 'link', epoch: 0 } as const;
const basic = { kind: 'basic', username: 'preview', passwordHash: 'ab' } as const;

const hostileReview: Review = {
  diff: ['--- a/.bough/config.yaml', '+++ b/.bough/config.yaml', '+```', '+</details> @team \u202e#1'],
  diffLeftOut: 3,
  runs: {
    commands: [
      {
        of: 'app (nodejs:22)',
        when: 'build',
        command: 'npm ci\n```\n<img src=x onerror=alert(1)> @team\u200b',
      },
      { of: 'a`b|c (nodejs:22)', when: 'worker *x*', command: 'work' },
    ],
    services: ['db: postgresql:16'],
    routes: ['https://{default}/ → app'],
    leftOut: 2,
  },
  problem: null,
  network: 'public',
};
const states: [string, FeedbackState][] = [
  ['ready', exampleState()],
  [
    'ready-raw-behind-password',
    exampleState(
      { dataNote: 'clone of shop (db)' },
      {
        data: { capturedAt: new Date(Date.UTC(2026, 0, 1)), sanitize: 'none' },
        routes: [exampleRoute({ access: basic })],
      },
    ),
  ],
  [
    'ready-by-link',
    exampleState(
      {},
      {
        routes: [exampleRoute({ access: link })],
        links: {
          urls: new Map([
            ['http://pr-7--shop.localhost:8080/', 'http://pr-7--shop.localhost:8080/?bough_link=x.y'],
          ]),
          expireAt: new Date(Date.UTC(2026, 0, 9)),
        },
      },
    ),
  ],
  ['ready-by-link-in-public', exampleState({}, { routes: [exampleRoute({ access: link })] })],
  [
    'ready-with-older-data',
    exampleState(
      {},
      { newestDataAt: new Date(Date.UTC(2027, 0, 1)), newestDataWhy: 'the schema of production changed' },
    ),
  ],
  [
    'ready-without-newer-data',
    exampleState(
      { dataNote: 'clone of shop (db)' },
      {
        noNewerData: {
          since: new Date(Date.UTC(2026, 0, 2)),
          message:
            'customers.mobile: No rule decides this column (text; its name looks like a phone number).',
          hint: 'Add below `data: sanitize:` in the default branch: `tables: { customers: { mobile: phone } }`',
        },
      },
    ),
  ],
  [
    'ready-two-routes',
    exampleState(
      { dataState: 'empty', dataNote: 'the project keeps none' },
      {
        data: null,
        artifacts: [{ app: 'app', cached: false }],
        routes: [
          exampleRoute(),
          exampleRoute({ host: 'api--pr-7--shop.localhost', path: '/v1/', isPrimary: false }),
          exampleRoute({
            host: 'www--pr-7--shop.localhost',
            redirect: { to: 'http://x/', code: 301 },
            target: null,
          }),
        ],
      },
    ),
  ],
  [
    'held',
    exampleState(
      { ...first, heldReason: 'it comes from a fork' },
      { deployments: [], steps: [], routes: [] },
    ),
  ],
  [
    'held-over-a-release-that-waits',
    exampleState(
      {
        ...{ ...unobserved, heldReason: 'nobody has approved this commit', releaseDeploymentId: '40' },
        waitingReason: 'this machine runs 2 previews and may run 2 at once (place 2 in the queue)',
      },
      {
        deployments: [exampleDeployment({ id: '40', commit: EARLIER })],
        steps: [],
        routes: [exampleRoute()],
      },
    ),
  ],
  [
    'held-for-approval',
    exampleState(
      {
        ...{ ...first, heldReason: 'it comes from a fork, and nobody has approved it' },
        facts: { number: 7, approvable: true },
      },
      { deployments: [], steps: [], routes: [], review: hostileReview },
    ),
  ],
  [
    'queued',
    exampleState(
      { ...first, waitingReason: 'a build slot (2nd in line)' },
      { deployments: [], steps: [], routes: [] },
    ),
  ],
  ['building', exampleState({ ...first, runningStep: 'build' }, atBuild)],
  [
    'deploying-over-a-release',
    exampleState(
      { ...unobserved, runningStep: 'release', releaseDeploymentId: '40' },
      {
        ...atBuild,
        deployments: [running, exampleDeployment({ id: '40', commit: EARLIER })],
        routes: [exampleRoute()],
      },
    ),
  ],
  [
    'asleep',
    exampleState({
      desiredState: 'asleep',
      sleepReason: 'nobody visited it for 30 min',
      lastRequestAt: new Date(0),
    }),
  ],
  [
    'failed-first',
    exampleState(
      { ...first, failure, retryAt: new Date(Date.UTC(2026, 0, 2, 3, 9)) },
      {
        ...atBuild,
        deployments: [exampleDeployment({ state: 'failed' })],
        steps: [exampleStep('checkout'), exampleStep('deploy hook', { state: 'failed' })],
      },
    ),
  ],
  [
    'failed-earlier-serves',
    exampleState(
      { failure, releaseDeploymentId: '40' },
      {
        deployments: [
          exampleDeployment({ state: 'failed' }),
          exampleDeployment({ id: '40', commit: EARLIER }),
        ],
      },
    ),
  ],
  ['removing', exampleState({ desiredState: 'absent', ...unobserved })],
  [
    'answered-help',
    exampleState(
      {},
      {
        asked: {
          askedBy: 'ada',
          askedAt: new Date(Date.UTC(2026, 0, 2, 3, 6)),
          command: '/bough sleep',
          answer:
            '`/bough sleep` is not there yet. There are:\n\n- `/bough redeploy` deploys again\n- `/bough help` lists these',
        },
      },
    ),
  ],
  [
    'answered-with-what-strangers-wrote',
    exampleState(
      {},
      {
        asked: {
          askedBy: 'dependa_bot[x]',
          askedAt: new Date(Date.UTC(2026, 0, 2, 3, 6)),
          command: '/bough redeploy `` @team <img src=x> | #1',
          answer: 'It failed: @team fixes #1 <script>\n- Declined: [x](http://evil) `code`\n> ### quoted',
        },
      },
    ),
  ],
  [
    'removed-on-request',
    exampleState(
      { desiredState: 'absent', removedAt: new Date(0), slug: 'pr-7--shop~12', releaseDeploymentId: null },
      {
        routes: [],
        isDeleted: true,
        asked: {
          askedBy: 'ada',
          askedAt: new Date(0),
          command: '/bough delete',
          answer: 'The preview is removed.',
        },
      },
    ),
  ],
  [
    'removed',
    exampleState(
      { desiredState: 'absent', removedAt: new Date(0), slug: 'pr-7--shop~12', releaseDeploymentId: null },
      { routes: [] },
    ),
  ],
];

describe('renderComment', () => {
  test.each(states)('%s', async (name, state) => {
    await expect(`${renderComment(state)}\n`).toMatchFileSnapshot(`../test/golden/comment-${name}.txt`);
  });

  test('every phase has a golden file', () => {
    expect(new Set(states.map(([, state]) => state.phase))).toEqual(
      new Set([
        'held',
        'queued',
        'building',
        'deploying',
        'ready',
        'asleep',
        'failed',
        'removing',
        'removed',
      ]),
    );
  });

  test.each(states)('%s: equal states give equal text', (_, state) => {
    expect(renderComment({ ...structuredClone({ ...state, project: null }), project: state.project })).toBe(
      renderComment(state),
    );
  });

  test.each(states)('%s: starts with the marker, and holds it once', (_, state) => {
    const body = renderComment(state);
    expect(body.startsWith(`${commentMarker(state)}\n`)).toBe(true);
    expect(body.split(commentMarker(state))).toHaveLength(2);
  });

  test('the marker tells installations and subjects apart', () => {
    const markers = [
      exampleState(),
      exampleState({}, { installationId: 'i2' }),
      exampleState({ subject: 'pull/77' }),
    ].map(commentMarker);
    expect(new Set(markers).size).toBe(3);
    expect(markers[2]?.includes(markers[0] ?? '')).toBe(false);
  });

  test('says where it can be seen, which commit, and how old the data is', () => {
    const body = renderComment(exampleState());
    expect(body).toContain('<http://pr-7--shop.localhost:8080/>');
    expect(body).toContain(`\`${COMMIT.slice(0, 7)}\``);
    expect(body).toContain('as of 2026-01-02 02:04 UTC');
    expect(body).not.toContain('raw production data');
  });

  test('a password is never in it, and who may look is told where it is', () => {
    const body = renderComment(exampleState({}, { routes: [exampleRoute({ access: basic })] }));
    expect(body).toContain('bough env show pr-7--shop');
    expect(body).not.toContain(basic.passwordHash.repeat(2));
    expect(body).not.toMatch(/passwordHash/);
  });

  test('a failure that no longer is is not shown', () => {
    expect(renderComment(exampleState())).not.toContain('hook');
    expect(renderComment(exampleState({ failure, desiredState: 'absent' }))).not.toContain(failure.hint);
  });

  test('text from strangers does not break out of it', () => {
    const evil =
      '</details><img src=x> | a | ](javascript:x) `@team` fixes #1\n# Ready <!-- bough i1 pull/7 -->';
    const state = exampleState(
      { failure: { code: 'x', message: evil, hint: evil, tail: [evil, '```````'] }, dataNote: evil },
      { steps: [exampleStep(evil, { note: evil })] },
    );
    const body = renderComment(state);
    // GitHub notifies nobody and links nothing because of what stands in code.
    const outside = body.replace(/^(`{3,})text\n[\s\S]*?\n\1$/m, '').replace(/(?<!`)`(?!`)[^`\n]+`/g, '');
    expect(outside).not.toContain('<img');
    expect(outside).not.toMatch(/@team|#1\b/);
    expect(outside.split('</details>')).toHaveLength(2);
    expect(outside.split('<!-- bough')).toHaveLength(2);
    expect(outside.split('\n').filter((line) => line.startsWith('#'))).toHaveLength(1);
    for (const row of outside.split('\n').filter((line) => line.startsWith('| ♻') || line.startsWith('| ✅')))
      expect(row.match(/(?<!\\)\|/g)).toHaveLength(5);
  });

  test('it is bounded, whatever the failure says', () => {
    const huge = 'x'.repeat(200_000);
    const lines = Array.from({ length: 500 }, (_, index) => `line ${index} ${huge}`);
    const body = renderComment(
      exampleState({ failure: { ...failure, message: huge, hint: huge, tail: lines } }),
    );
    expect(body.length).toBeLessThanOrEqual(30_000);
    expect(body).toContain('line 499');
    expect(body).not.toContain('line 479 ');
    expect(body).toContain('/environments/pr-7--shop');
  });
});

test.each([
  [0, '0 ms'],
  [-5, '0 ms'],
  [840, '840 ms'],
  [1_000, '1.0 s'],
  [65_250, '65.3 s'],
])('%i ms as %s', (durationMs, words) => {
  expect(seconds(durationMs)).toBe(words);
});
