import { type Environment, type Phase, phase } from '@bough/domain/environment';
import type { Review } from '@bough/domain/review';
import type { Secret } from '@bough/domain/secret';
import { type Command, lastAnsweredCommand } from '@bough/store/commands';
import type { Database } from '@bough/store/database';
import { type Deployment, listDeploymentArtifacts, listDeployments } from '@bough/store/deployments';
import { findEnvironment, findLastEnvironment } from '@bough/store/environments';
import { readHeldReview } from '@bough/store/held-reviews';
import { findProject, type Project } from '@bough/store/projects';
import { findRehearsal, type Rehearsal } from '@bough/store/rehearsals';
import { lastRequest } from '@bough/store/requests';
import { type EnvironmentRoute, listRoutes } from '@bough/store/routes';
import { findFailedCapture, findSnapshot, newestFrozenSnapshot } from '@bough/store/snapshots';
import { listSteps, type Step } from '@bough/store/steps';
import { signLinks } from './sign-links.ts';

/** Everything that is said about an environment on the forge, as facts. Rendering it is pure. */
export interface FeedbackState {
  readonly installationId: string;
  readonly project: Project;
  readonly environment: Environment;
  /** A newer environment of the same subject, which speaks for it now; null for the newest. */
  readonly successor: Environment | null;
  readonly phase: Phase;
  /** Newest first; at most 20. */
  readonly deployments: readonly Deployment[];
  /** Of the newest deployment. */
  readonly steps: readonly Step[];
  readonly artifacts: readonly { app: string; cached: boolean }[];
  readonly routes: readonly EnvironmentRoute[];
  /** When the data was captured and whether it is sanitized; null when nothing was cloned. */
  readonly data: { readonly capturedAt: Date | null; readonly sanitize: string } | null;
  /** Captures of production fail: since when, and why; null while they do not, and for previews that need none. */
  readonly noNewerData: {
    readonly since: Date;
    readonly message: string;
    readonly hint: string | null;
  } | null;
  /** When the newest golden snapshot of the project was captured: newer data than this, maybe. */
  readonly newestDataAt: Date | null;
  /** Why that was captured: what has changed since the preview's own. */
  readonly newestDataWhy: string | null;
  /** The last command in a comment that was answered, and the answer. */
  readonly asked: (Pick<Command, 'askedBy' | 'askedAt' | 'command'> & { readonly answer: string }) | null;
  /** Somebody asked for its deletion and nobody asked for it again since: it stays away. */
  readonly isDeleted: boolean;
  /** Of the newest deployment's migrations. */
  readonly rehearsal: Rehearsal | null;
  /** Of the commit that waits for an approval. */
  readonly review: Review | null;
  /** Addresses with a signature, by those without; null where none may stand in a comment, or none is needed. */
  readonly links: { readonly urls: ReadonlyMap<string, string>; readonly expireAt: Date } | null;
  readonly publicUrl: string;
  readonly previewUrl: string;
}

export async function readFeedbackState(
  db: Database,
  environmentId: string,
  surroundings: { publicUrl: string; previewUrl: string; linkKey: Secret; now: Date },
): Promise<FeedbackState | undefined> {
  const { publicUrl, previewUrl } = surroundings;
  const environment = await findEnvironment(db, environmentId);
  const project = environment && (await findProject(db, environment.projectId));
  if (environment === undefined || project === undefined) return undefined;
  const deployments = await listDeployments(db, environmentId, 20);
  const [newest] = deployments;
  const snapshot =
    environment.dataSnapshotId === null ? undefined : await findSnapshot(db, environment.dataSnapshotId);
  const { projectId, subject } = environment;
  const last = await findLastEnvironment(db, { projectId, subject });
  const newestData = await newestFrozenSnapshot(db, projectId);
  const asked = await lastAnsweredCommand(db, { projectId, subject });
  const lasting = await lastRequest(db, {
    projectId,
    subject,
    kinds: ['open', 'delete', 'redeploy', 'rebuild'],
  });
  const routes = await listRoutes(db, environmentId);
  return {
    installationId: environment.installationId,
    project,
    environment,
    successor: last === undefined || last.id === environmentId ? null : last,
    phase: phase(environment),
    deployments,
    steps: newest === undefined ? [] : await listSteps(db, newest.id),
    artifacts: newest === undefined ? [] : await listDeploymentArtifacts(db, newest.id),
    routes,
    data: snapshot === undefined ? null : { capturedAt: snapshot.capturedAt, sanitize: snapshot.sanitize },
    noNewerData: await readNoNewerData(db, environment),
    newestDataAt: newestData?.capturedAt ?? null,
    newestDataWhy: newestData?.why ?? null,
    asked: asked ?? null,
    rehearsal: newest === undefined ? null : ((await findRehearsal(db, newest.id)) ?? null),
    isDeleted: lasting?.kind === 'delete',
    review: environment.facts.approvable === true ? await readHeldReview(db, environmentId) : null,
    links: signLinks({ ...surroundings, project, environmentId, routes }),
    ...{ publicUrl, previewUrl },
  };
}

async function readNoNewerData(
  db: Database,
  { kind, projectId }: Environment,
): Promise<FeedbackState['noNewerData']> {
  if (kind !== 'preview') return null;
  const failed = await findFailedCapture(db, projectId);
  if (failed === undefined || failed.failingSince === null) return null;
  const { failureMessage: message, failureHint: hint, failingSince: since } = failed;
  return { since, message: message ?? 'unknown', hint };
}
