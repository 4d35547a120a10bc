import type { CheckReport, DeploymentReport } from '@bough/forge/forge';
import type { Deployment } from '@bough/store/deployments';
import { detailsUrl } from './details-url.ts';
import type { FeedbackState } from './feedback-state.ts';
import { heldWords } from './held-words.ts';
import { codeBlock, prose } from './markdown.ts';
import { renderReview } from './render-review.ts';
import { routeUrl } from './route-url.ts';
import { seconds } from './seconds.ts';

export type CheckContent = Omit<CheckReport, 'externalId'>;
export type DeploymentContent = Omit<DeploymentReport, 'externalId'>;

/** The check on the desired commit. Annotations stand at the line of a manifest's problem. */
export function renderCheck(state: FeedbackState): CheckContent | undefined {
  const { environment } = state;
  if (environment.desiredCommit === null) return undefined;
  const newest =
    state.deployments[0]?.commit === environment.desiredCommit ? state.deployments[0] : undefined;
  return {
    name: `bough / ${environment.kind}`,
    commit: environment.desiredCommit,
    detailsUrl: detailsUrl(state),
    annotations: (newest?.failureAnnotations ?? []).map(({ path, line, column, message }) => ({
      path,
      line,
      column,
      level: 'failure' as const,
      message,
    })),
    ...(environment.kind === 'preview' ? { subject: environment.subject } : {}),
    ...verdict(state, newest),
  };
}

/** GitHub's limits are 20, 40 and 20 characters. */
const APPROVE = {
  label: 'Approve this commit',
  description: 'Run it without secrets, data and network',
  identifier: 'approve',
};

function verdict(
  state: FeedbackState,
  newest: Deployment | undefined,
): Pick<CheckContent, 'state' | 'title' | 'summary' | 'actions'> {
  const { environment } = state;
  switch (state.phase) {
    case 'ready':
    case 'asleep': {
      const took = newest?.finishedAt
        ? ` in ${seconds(newest.finishedAt.getTime() - newest.startedAt.getTime())}`
        : '';
      const notes = state.steps
        .filter((step) => step.note !== null)
        .map((step) => `- **${step.name}**: ${prose(step.note ?? '')}`);
      return {
        state: 'success',
        title: `Ready${took}`,
        summary: [primaryUrl(state) ?? '', ...notes].join('\n'),
      };
    }
    case 'failed': {
      const { failure } = environment;
      const tail = failure?.tail.slice(-20) ?? [];
      const summary = [
        ...(failure === null || failure.hint === null ? [] : [prose(failure.hint)]),
        ...(tail.length === 0 ? [] : [codeBlock(tail)]),
      ].join('\n\n');
      return { state: 'failure', title: failure?.message ?? 'It failed.', summary };
    }
    case 'held':
      return {
        ...(environment.facts.approvable === true
          ? { state: 'action_required' as const, actions: [APPROVE] }
          : { state: 'neutral' as const }),
        title: heldTitle(environment),
        summary: [
          heldWords(environment),
          ...(state.review === null ? [] : [renderReview(state.review)]),
        ].join('\n\n'),
      };
    case 'queued':
      return { state: 'queued', title: environment.waitingReason ?? 'Queued', summary: '' };
    case 'building':
    case 'deploying':
      return { state: 'in_progress', title: `At step “${environment.runningStep ?? ''}”`, summary: '' };
    case 'removing':
    case 'removed':
      // A check that passed stays passed; one that was under way never came to its end.
      return newest?.state === 'ready'
        ? { state: 'success', title: 'Was ready; the preview is removed', summary: '' }
        : { state: 'cancelled', title: 'The preview was removed before it was ready', summary: '' };
  }
}

function heldTitle({ heldQuiet, releaseDeploymentId }: FeedbackState['environment']): string {
  if (releaseDeploymentId !== null) return 'Held: this commit does not run';
  return heldQuiet ? 'No preview' : 'Held: nothing runs';
}

export function primaryUrl(state: FeedbackState): string | undefined {
  const route =
    state.routes.find((candidate) => candidate.isPrimary) ??
    state.routes.find((candidate) => candidate.redirect === null);
  return route && routeUrl(state.previewUrl, route);
}

/**
 * One attempt as the forge's Deployments show it. One shared environment name per kind: a name per pull request would
 * pile up Environment objects that ordinary tokens cannot delete (github-and-pains.md §5).
 */
export function renderDeployment(state: FeedbackState, deployment: Deployment): DeploymentContent {
  const { environment } = state;
  const url = primaryUrl(state);
  const current =
    deployment.id === environment.releaseDeploymentId &&
    state.phase !== 'removed' &&
    state.phase !== 'removing';
  return {
    commit: deployment.commit,
    environment: environment.kind,
    production: environment.kind === 'production',
    description: description(state, deployment),
    state: deploymentState(deployment, current, state),
    logUrl: detailsUrl(state),
    ...(current && url !== undefined ? { environmentUrl: url } : {}),
  };
}

function deploymentState(
  deployment: Deployment,
  current: boolean,
  state: FeedbackState,
): DeploymentReport['state'] {
  switch (deployment.state) {
    case 'running':
      return state.environment.desiredState === 'absent' ? 'inactive' : 'in_progress';
    case 'ready':
      return current ? 'success' : 'inactive';
    case 'failed':
      return 'failure';
    case 'superseded':
    case 'cancelled':
      return 'inactive';
  }
}

/** At most 140 characters: GitHub's limit. */
function description(state: FeedbackState, deployment: Deployment): string {
  const text =
    deployment.state === 'failed'
      ? (deployment.failureMessage ?? 'failed')
      : `${state.environment.slug.replace(/~.*$/, '')} (Bough)`;
  return text.slice(0, 140);
}
