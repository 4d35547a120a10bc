import { phase } from '@bough/domain/environment';
import type { Database } from '@bough/store/database';
import { findDeclined } from '@bough/store/declined-subjects';
import { listDeliveries } from '@bough/store/deliveries';
import { findLastEnvironment } from '@bough/store/environments';
import { listEvents } from '@bough/store/events';
import type { Project } from '@bough/store/projects';
import { openRequests } from '@bough/store/requests';
import { findFailedCapture } from '@bough/store/snapshots';
import type { z } from 'zod';
import type { Why } from './schemas.ts';
import { viewDelivery, viewEnvironment, viewEvent } from './views.ts';

/** All that is known about why a subject is as it is: its row, what was asked for, what came in, what happened. */
export async function explain(db: Database, project: Project, subject: string): Promise<z.infer<typeof Why>> {
  const of = { projectId: project.id, subject };
  const environment = await findLastEnvironment(db, of);
  const requests = await openRequests(db, of);
  const deliveries = await listDeliveries(db, { repositoryId: project.repositoryId, subject, limit: 20 });
  const events = environment ? await listEvents(db, { environmentId: environment.id, limit: 50 }) : [];
  const declined = await findDeclined(db, of);
  const view = environment && viewEnvironment(environment);
  return {
    subject,
    phase: environment ? phase(environment) : null,
    declinedReason: declined?.reason ?? null,
    waitingPosition: view?.waitingPosition ?? null,
    sleepReason: view?.sleepReason ?? null,
    heldReason: view?.heldReason ?? null,
    waitingReason: view?.waitingReason ?? null,
    failure: view?.failure ?? null,
    retryAt: view?.retryAt ?? null,
    capture: await failingCapture(db, project.id),
    openRequests: requests.map(({ id, kind, askedBy, askedAt }) => ({
      ...{ id, kind, askedBy },
      askedAt: askedAt.toISOString(),
    })),
    deliveries: deliveries.map(viewDelivery),
    events: events.map(viewEvent),
  };
}

export async function failingCapture(
  db: Database,
  projectId: string,
): Promise<z.infer<typeof Why>['capture']> {
  const failed = await findFailedCapture(db, projectId);
  if (failed === undefined || failed.failingSince === null) return null;
  return {
    since: failed.failingSince.toISOString(),
    failures: failed.failures,
    message: failed.failureMessage ?? 'unknown',
    hint: failed.failureHint,
    retryAt: failed.retryAt?.toISOString() ?? null,
  };
}
