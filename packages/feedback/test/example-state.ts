import { type Environment, phase } from '@bough/domain/environment';
import { Secret } from '@bough/domain/secret';
import type { Deployment } from '@bough/store/deployments';
import type { EnvironmentRoute } from '@bough/store/routes';
import type { Step } from '@bough/store/steps';
import { exampleEnvironment } from '@bough/testkit/example-environment';
import type { FeedbackState } from '../src/feedback-state.ts';

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
export const COMMIT = `c0ffee1${'0'.repeat(33)}`;
export const EARLIER = `bad5eed${'0'.repeat(33)}`;

const environment = exampleEnvironment(new Date(START), {
  facts: { title: 'Add a cart', author: 'ann', number: 7, branch: 'cart' },
  desiredCommit: COMMIT,
  policyCommit: EARLIER,
  lease: '4',
  dataSnapshotId: '5',
  dataState: 'cloned',
  dataNote: 'clone of shop (db)',
  changedAt: new Date(START + 65_000),
});

export function exampleDeployment(over: Partial<Deployment> = {}): Deployment {
  return {
    id: '41',
    environmentId: '12',
    generation: '2',
    commit: COMMIT,
    state: 'ready',
    fingerprint: 'f1',
    failureCode: null,
    failureMessage: null,
    failureHint: null,
    failureTail: [],
    failureAnnotations: [],
    startedAt: new Date(START),
    finishedAt: new Date(START + 12_300),
    ...over,
  };
}

export function exampleStep(name: string, over: Partial<Step> = {}): Step {
  return {
    deploymentId: '41',
    ordinal: 0,
    name,
    state: 'done',
    note: null,
    startedAt: new Date(START),
    finishedAt: new Date(START + 840),
    ...over,
  };
}

export function exampleRoute(over: Partial<EnvironmentRoute> = {}): EnvironmentRoute {
  return {
    host: 'pr-7--shop.localhost',
    path: '/',
    deploymentId: '41',
    route: 'https://{default}/',
    state: 'serving',
    target: { host: '127.0.0.1', port: 4000 },
    redirect: null,
    access: { kind: 'open' },
    indexable: false,
    isPrimary: true,
    ...over,
  };
}

/** A preview that is ready, and what differs from it. The phase follows from the row. */
export function exampleState(
  row: Partial<Environment> = {},
  over: Partial<Omit<FeedbackState, 'environment' | 'phase'>> = {},
): FeedbackState {
  const changed = { ...environment, ...row };
  return {
    installationId: 'i1',
    project: {
      id: '3',
      installationId: 'i1',
      forge: 'github',
      forgeHost: 'github.com',
      repositoryId: 99,
      owner: 'acme',
      name: 'shop',
      slug: 'shop',
      defaultBranch: 'main',
      private: false,
      production: 'managed',
      intake: 'webhook',
      webhookId: null,
      forgeInstallationId: null,
      pollEtag: null,
      comments: null,
      entropy: new Secret('entropy-of-the-project'),
      state: 'active',
      variablesRevision: '0',
      createdAt: new Date(START),
    },
    environment: changed,
    successor: null,
    phase: phase(changed),
    deployments: [exampleDeployment()],
    steps: [
      exampleStep('checkout'),
      exampleStep('build', { state: 'cached', note: 'app: cached' }),
      exampleStep('data', { note: 'clone of shop (db)' }),
      exampleStep('verify', { finishedAt: new Date(START + 2_510) }),
    ],
    artifacts: [{ app: 'app', cached: true }],
    routes: [exampleRoute()],
    data: { capturedAt: new Date(START - 3_600_000), sanitize: 'rules' },
    noNewerData: null,
    newestDataAt: null,
    newestDataWhy: null,
    asked: null,
    rehearsal: null,
    isDeleted: false,
    links: null,
    review: null,
    publicUrl: 'http://localhost:3000',
    previewUrl: 'http://*.localhost:8080',
    ...over,
  };
}
