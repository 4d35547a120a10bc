import { describe, expect, test } from 'vitest';
import { COMMIT, EARLIER, exampleDeployment, exampleRoute, exampleState } from '../test/example-state.ts';
import { primaryUrl, renderCheck, renderDeployment } from './render-check.ts';

const failure = { code: 'x', message: 'It broke.', hint: 'Push @team a fix #1.', tail: ['one', 'two'] };
const running = exampleDeployment({ state: 'running', finishedAt: null });
const unobserved = { observedGeneration: '1' };

describe('renderCheck', () => {
  test.each([
    ['ready', exampleState(), 'success', 'Ready in 12.3 s'],
    ['asleep', exampleState({ desiredState: 'asleep' }), 'success', 'Ready in 12.3 s'],
    ['queued', exampleState(unobserved), 'queued', 'Queued'],
    [
      'waiting',
      exampleState({ ...unobserved, waitingReason: 'waits for a slot' }),
      'queued',
      'waits for a slot',
    ],
    ['at a step', exampleState({ ...unobserved, runningStep: 'build' }), 'in_progress', 'At step “build”'],
    ['failed', exampleState({ failure }), 'failure', 'It broke.'],
    [
      'held',
      exampleState({ heldReason: 'a fork', releaseDeploymentId: null }),
      'neutral',
      'Held: nothing runs',
    ],
    [
      'held over an earlier release',
      exampleState({ heldReason: 'a fork' }),
      'neutral',
      'Held: this commit does not run',
    ],
    [
      'removed after it was ready',
      exampleState({ desiredState: 'absent' }),
      'success',
      'Was ready; the preview is removed',
    ],
    [
      'removed before it was ready',
      exampleState({ desiredState: 'absent' }, { deployments: [running] }),
      'cancelled',
      'The preview was removed before it was ready',
    ],
  ])('%s', (_, state, expected, title) => {
    expect(renderCheck(state)).toMatchObject({
      name: 'bough / preview',
      commit: COMMIT,
      state: expected,
      title,
      detailsUrl: 'http://localhost:3000/environments/pr-7--shop',
    });
  });

  test('without a commit there is nothing to check', () => {
    expect(renderCheck(exampleState({ desiredCommit: null }))).toBeUndefined();
  });

  test('annotations stand at the line of the problem, for the commit that has it', () => {
    const failed = exampleDeployment({
      state: 'failed',
      failureAnnotations: [{ path: '.bough/app.yaml', line: 4, column: 3, message: 'unknown key' }],
    });
    const annotation = {
      path: '.bough/app.yaml',
      line: 4,
      column: 3,
      level: 'failure',
      message: 'unknown key',
    };
    expect(renderCheck(exampleState({ failure }, { deployments: [failed] }))?.annotations).toEqual([
      annotation,
    ]);
    const newer = exampleState({ failure, desiredCommit: EARLIER }, { deployments: [failed] });
    expect(renderCheck(newer)?.annotations).toEqual([]);
  });

  test('a failure shows its last lines, escaped, and no empty block when there are none', () => {
    const summary = renderCheck(exampleState({ failure }))?.summary ?? '';
    expect(summary).toContain('```text\none\ntwo\n```');
    expect(summary).not.toMatch(/@team|#1/);
    expect(renderCheck(exampleState({ failure: { ...failure, tail: [] } }))?.summary).not.toContain('```');
  });

  test('how long it took is not taken from the deployment of another commit', () => {
    expect(renderCheck(exampleState({ desiredCommit: EARLIER }))?.title).toBe('Ready');
  });
});

describe('renderDeployment', () => {
  const of = (state: Parameters<typeof renderDeployment>[0], deployment = state.deployments[0]) => {
    if (deployment === undefined) throw new Error('no deployment');
    return renderDeployment(state, deployment);
  };

  test('the release that serves is a success and says where', () => {
    expect(of(exampleState())).toEqual({
      commit: COMMIT,
      environment: 'preview',
      production: false,
      description: 'pr-7--shop (Bough)',
      state: 'success',
      logUrl: 'http://localhost:3000/environments/pr-7--shop',
      environmentUrl: 'http://pr-7--shop.localhost:8080/',
    });
  });

  test('all previews share one environment name: a name each could never be deleted', () => {
    expect(of(exampleState({ subject: 'pull/8', slug: 'pr-8--shop' })).environment).toBe('preview');
    expect(of(exampleState({ kind: 'production' }))).toMatchObject({
      environment: 'production',
      production: true,
    });
  });

  test.each([
    ['ready, but another serves', exampleState({ releaseDeploymentId: '42' }), undefined, 'inactive'],
    ['ready, being removed', exampleState({ desiredState: 'absent' }), undefined, 'inactive'],
    ['ready, removed', exampleState({ removedAt: new Date(0) }), undefined, 'inactive'],
    ['running', exampleState({ ...unobserved, releaseDeploymentId: '40' }), running, 'in_progress'],
    ['running, being removed', exampleState({ desiredState: 'absent' }), running, 'inactive'],
    ['superseded', exampleState(), exampleDeployment({ id: '40', state: 'superseded' }), 'inactive'],
    ['cancelled', exampleState(), exampleDeployment({ id: '40', state: 'cancelled' }), 'inactive'],
    ['failed', exampleState({ failure }), exampleDeployment({ id: '43', state: 'failed' }), 'failure'],
  ])('%s', (_, state, deployment, expected) => {
    const content = of(state, deployment);
    expect(content.state).toBe(expected);
    expect('environmentUrl' in content).toBe(false);
  });

  test('the description says why it failed, within the limit of GitHub', () => {
    const failed = exampleDeployment({ state: 'failed', failureMessage: 'x'.repeat(500) });
    expect(of(exampleState({ failure }), failed).description).toHaveLength(140);
  });
});

test('the primary route is the one that people are sent to; a redirect never is', () => {
  const redirect = exampleRoute({
    host: 'www.localhost',
    redirect: { to: 'http://x/', code: 301 },
    isPrimary: false,
  });
  const api = exampleRoute({ host: 'api.localhost', path: '/v1/', isPrimary: false });
  expect(primaryUrl(exampleState({}, { routes: [redirect, api, exampleRoute()] }))).toBe(
    'http://pr-7--shop.localhost:8080/',
  );
  const https = { routes: [redirect, api], previewUrl: 'https://*.preview.example.com' };
  expect(primaryUrl(exampleState({}, https))).toBe('https://api.localhost/v1/');
  expect(primaryUrl(exampleState({}, { routes: [redirect] }))).toBeUndefined();
});
