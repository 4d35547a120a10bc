import { type Environment, phase } from '@bough/domain/environment';
import { Secret } from '@bough/domain/secret';
import type { Deployment } from '@bough/store/deployments';
import type { EnvironmentRoute } from '@bough/store/routes';
import type { Step } from '@bough/store/steps';
import type { FeedbackState } from '../src/feedback-state.ts';

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
export const COMMIT = `c0ffee1${'0'.repeat(33)}`;
export const EARLIER = `bad5eed${'0'.repeat(33)}`;

const environment: Environment = {
  id: '12',
  projectId: '3',
  installationId: 'i1',
  subject: 'pull/7',
  slug: 'pr-7--shop',
  kind: 'preview',
  facts: { title: 'Add a cart', author: 'ann', number: 7, branch: 'cart' },
  desiredState: 'running',
  desiredCommit: COMMIT,
  policyCommit: EARLIER,
  trust: 'trusted',
  heldReason: null,
  variablesRevision: '0',
  requestId: null,
  generation: '2',
  observedGeneration: '2',
  lease: '4',
  runningStep: null,
  waitingReason: null,
  failure: null,
  failures: 0,
  retryAt: null,
  releaseDeploymentId: '41',
  dataSnapshotId: '5',
  dataState: 'cloned',
  dataNote: 'clone of shop (db)',
  dataEpoch: '0',
  dataAnsweredId: null,
  dataPending: null,
  lastRequestAt: null,
  expiresAt: null,
  branchOf: null,
  deployGeneration: '1',
  sleepReason: null,
  idleSeconds: null,
  expiresSeconds: null,
  priority: 0,
  keptUntil: null,
  admittedAt: null,
  waitingSince: null,
  waitingPosition: null,
  heldQuiet: false,
  createdAt: new Date(START),
  changedAt: new Date(START + 65_000),
  removedAt: null,
};

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
