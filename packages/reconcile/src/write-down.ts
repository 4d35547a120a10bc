import type { Environment } from '@bough/domain/environment';
import { environmentSlug } from '@bough/domain/names';
import type { Subject } from '@bough/domain/subject';
import { forgetDeclined, writeDeclined } from '@bough/store/declined-subjects';
import { writeAbsent, writeDesired } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { writeHeldReview } from '@bough/store/held-reviews';
import type { Project } from '@bough/store/projects';
import type { Context } from './context.ts';
import type { Desired, Observation } from './desire.ts';
import { priorityOf } from './judge-pull.ts';
import type { Policy } from './policy.ts';
import { subjectSlug } from './subject-slug.ts';

type WriteContext = Pick<Context, 'pool' | 'installationId' | 'enqueue'>;

/** What one look at a subject came to. */
export interface Look {
  readonly subject: string;
  readonly parsed: Subject;
  readonly desired: Desired;
  readonly observation: Observation;
  readonly policy: Policy | undefined;
}

type RunningLook = Look & { readonly desired: Extract<Desired, { kind: 'running' }> };

/** Writes the wish and wakes whoever makes it true. Returns in words what came of it. */
export async function writeDown(context: WriteContext, project: Project, look: Look): Promise<string> {
  const { desired } = look;
  await noteDeclined(context, project, look);
  switch (desired.kind) {
    case 'declined':
      return desired.reason;
    case 'absent':
      return await writeAway(context, project, { subject: look.subject, reason: desired.reason });
    case 'running':
      return await writeRunning(context, project, { ...look, desired });
  }
}

async function writeAway(
  context: WriteContext,
  project: Project,
  { subject, reason }: { subject: string; reason: string },
): Promise<string> {
  const written = await writeAbsent(context.pool, { projectId: project.id, subject });
  if (written === undefined) return `${reason}; there is no environment to remove`;
  if (written.changed) {
    await appendEvent(context.pool, {
      projectId: project.id,
      environmentId: written.environment.id,
      actor: 'bough',
      kind: 'environment.absent',
      detail: { reason },
    });
  }
  await context.enqueue('reconcile', written.environment.id);
  await context.enqueue('feedback', written.environment.id);
  return reason;
}

async function writeRunning(context: WriteContext, project: Project, look: RunningLook): Promise<string> {
  const { desired } = look;
  const { environment, changed } = await writeDesired(context.pool, rowOf(context, project, look));
  if (desired.trust === 'untrusted')
    await writeHeldReview(context.pool, environment.id, desired.review ?? null);
  if (changed) {
    await appendEvent(context.pool, {
      projectId: project.id,
      environmentId: environment.id,
      actor: 'bough',
      kind: desired.heldReason === null ? 'environment.desired' : 'environment.held',
      detail: { commit: desired.commit, generation: environment.generation, reason: desired.heldReason },
    });
  }
  if (environment.generation !== environment.observedGeneration)
    await context.enqueue('reconcile', environment.id);
  await context.enqueue('feedback', environment.id);
  return inWords(environment, desired, changed);
}

function rowOf(
  context: WriteContext,
  project: Project,
  { subject, parsed, desired, observation, policy }: RunningLook,
): Parameters<typeof writeDesired>[1] {
  const branched = observation.kind === 'branched' ? observation : undefined;
  const labels = observation.kind === 'pull' && observation.pull !== 'gone' ? observation.pull.labels : [];
  return {
    projectId: project.id,
    installationId: context.installationId,
    subject,
    slug: environmentSlug(subjectSlug(parsed), project.slug),
    kind: subject === 'production' ? 'production' : 'preview',
    trust: desired.trust,
    facts: desired.facts,
    desiredState: desired.state,
    sleepReason: desired.sleepReason,
    desiredCommit: desired.commit,
    // Production's own commit is its policy.
    policyCommit: subject === 'production' ? desired.commit : (policy?.commit ?? null),
    heldReason: desired.heldReason,
    heldQuiet: desired.heldQuiet,
    heldWaits: desired.heldWaits,
    idleSeconds: policy?.previews.idleSeconds ?? null,
    // A branch has its own time, and goes by that alone.
    expiresSeconds: branched === undefined ? (policy?.previews.expiresSeconds ?? null) : null,
    branchOf: branched?.branchOf ?? null,
    expiresAt: branched?.expiresAt ?? null,
    priority: policy === undefined ? 0 : priorityOf(policy.previews, labels),
    variablesRevision: project.variablesRevision,
    requestId: desired.requestId,
  };
}

function inWords(environment: Environment, desired: RunningLook['desired'], changed: boolean): string {
  const { slug } = environment;
  const commit = desired.commit.slice(0, 7);
  if (desired.heldReason !== null) return `held: ${desired.heldReason}`;
  if (environment.desiredState === 'asleep')
    return `${slug} is asleep: ${environment.sleepReason ?? 'nobody needs it'}`;
  return changed ? `${slug} is to run ${commit}` : `${slug} is at ${commit} already`;
}

/** Remembered until the pull request changes, so that nobody asks the forge about it every minute; and for `bough why`. */
async function noteDeclined(
  context: WriteContext,
  project: Project,
  { subject, desired, observation }: Look,
): Promise<void> {
  const of = { projectId: project.id, subject };
  const pull = observation.kind === 'pull' && observation.pull !== 'gone' ? observation.pull : undefined;
  if (pull?.state === 'open' && desired.kind !== 'running')
    await writeDeclined(context.pool, { ...of, reason: desired.reason, subjectUpdatedAt: pull.updatedAt });
  else await forgetDeclined(context.pool, of);
}
