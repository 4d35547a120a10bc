import { type Environment, phase } from '@bough/domain/environment';
import type { DataRefresh } from '@bough/store/data-refreshes';
import type { Delivery } from '@bough/store/deliveries';
import type { Deployment } from '@bough/store/deployments';
import type { Event } from '@bough/store/events';
import type { Project } from '@bough/store/projects';
import type { EnvironmentRoute } from '@bough/store/routes';
import type { SnapshotRow } from '@bough/store/snapshots';
import type { Step } from '@bough/store/steps';
import type { Variable } from '@bough/store/variables';
import type {
  DeliveryView,
  DeploymentView,
  EnvironmentView,
  EventView,
  GoldensView,
  GoldenView,
  ProjectView,
  RouteView,
  StepView,
  VariableView,
} from './schemas.ts';

/** Rows as the API shows them. Pure. */
export function viewProject(project: Project): ProjectView {
  const { id, slug, forge, forgeHost, defaultBranch, production, intake, state } = project;
  return {
    ...{ id, slug, forge, forgeHost, defaultBranch, production, intake, state },
    repository: `${project.owner}/${project.name}`,
    createdAt: project.createdAt.toISOString(),
  };
}

export function viewEnvironment(row: Environment): EnvironmentView {
  const { id, slug, projectId, subject, kind, facts, generation, runningStep, heldReason, waitingReason } =
    row;
  return {
    ...{ id, slug, projectId, subject, kind, facts, generation, runningStep, heldReason, waitingReason },
    phase: phase(row),
    commit: row.desiredCommit,
    failure: row.failure === null ? null : { ...row.failure, tail: [...row.failure.tail] },
    retryAt: iso(row.retryAt),
    waitingPosition: row.waitingPosition,
    sleepReason: row.desiredState === 'asleep' ? row.sleepReason : null,
    lastVisitAt: iso(row.lastRequestAt),
    keptUntil: iso(row.keptUntil),
    branchOf: row.branchOf,
    expiresAt: iso(row.expiresAt),
    data: { state: row.dataState, note: row.dataNote },
    createdAt: row.createdAt.toISOString(),
    changedAt: row.changedAt.toISOString(),
    removedAt: iso(row.removedAt),
  };
}

export function viewGolden(row: SnapshotRow & { readonly descendants: number }): GoldenView {
  return {
    id: row.id,
    capturedAt: iso(row.capturedAt),
    sanitized: row.sanitize !== 'none',
    sizeBytes: row.sizeBytes === null ? null : Number(row.sizeBytes),
    why: row.why,
    previews: row.descendants,
  };
}

export function viewRefresh(row: DataRefresh): GoldensView['refresh'] {
  const { askedBy, progress, note } = row;
  return {
    ...{ askedBy, progress, note },
    askedAt: iso(row.askedAt),
    startedAt: iso(row.startedAt),
    attemptedAt: iso(row.attemptedAt),
    dueAt: iso(row.dueAt),
  };
}

export function viewDeployment(row: Deployment): DeploymentView {
  const { id, environmentId, commit, generation, state, fingerprint } = row;
  const failure =
    row.failureCode === null
      ? null
      : {
          code: row.failureCode,
          message: row.failureMessage ?? '',
          hint: row.failureHint,
          tail: [...row.failureTail],
        };
  return { ...{ id, environmentId, commit, generation, state, fingerprint, failure }, ...times(row) };
}

export function viewStep(row: Step): StepView {
  const { name, state, note } = row;
  return { name, state, note, ...times(row) };
}

export function viewRoute(row: EnvironmentRoute, previewUrl: string): RouteView {
  const { host, path, route, state, target, redirect, indexable } = row;
  return {
    ...{ host, path, route, state, target, redirect, indexable },
    url: routeUrl(row, previewUrl),
    access: row.access.kind,
    primary: row.isPrimary,
  };
}

/** Scheme and port are those of the previews' pattern, as the visitor sees them. */
export function routeUrl({ host, path }: { host: string; path: string }, previewUrl: string): string {
  const pattern = new URL(previewUrl.replace('*', 'any'));
  return `${pattern.protocol}//${host}${pattern.port === '' ? '' : `:${pattern.port}`}${path}`;
}

export function viewDelivery(row: Delivery): DeliveryView {
  const { id, deliveryId, forge, event, action, repositoryId, fate, reason, attempts } = row;
  return {
    ...{ id, deliveryId, forge, event, action, repositoryId, fate, reason, attempts },
    subjects: [...row.subjects],
    receivedAt: row.receivedAt.toISOString(),
    settledAt: iso(row.settledAt),
  };
}

export function viewEvent({ id, actor, kind, detail, at }: Event): EventView {
  return { id, actor, kind, detail: { ...detail }, at: at.toISOString() };
}

export function viewVariable(row: Variable): VariableView {
  const { name, secret, atBuild, atRun, forProduction, forPreview, updatedAt } = row;
  return {
    ...{ name, secret, build: atBuild, run: atRun, production: forProduction, preview: forPreview },
    updatedAt: updatedAt.toISOString(),
  };
}

function times({ startedAt, finishedAt }: { startedAt: Date; finishedAt: Date | null }) {
  return {
    startedAt: startedAt.toISOString(),
    finishedAt: iso(finishedAt),
    durationMs: Math.max(0, (finishedAt ?? new Date()).getTime() - startedAt.getTime()),
  };
}

const iso = (time: Date | null): string | null => time?.toISOString() ?? null;
