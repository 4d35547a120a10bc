import { createHash } from 'node:crypto';
import { BoughError } from '@bough/domain/bough-error';
import { type Clock, systemClock } from '@bough/domain/clock';
import { type Environment, phase } from '@bough/domain/environment';
import type { Secret } from '@bough/domain/secret';
import type { Shares } from '@bough/domain/shares';
import type { Forge, Published, RepositoryRef } from '@bough/forge/forge';
import { findEnvironment } from '@bough/store/environments';
import {
  listPublications,
  type Publication,
  type PublicationKind,
  writePublication,
} from '@bough/store/publications';
import type pg from 'pg';
import { type FeedbackState, readFeedbackState } from './feedback-state.ts';
import { type CheckContent, renderCheck, renderDeployment } from './render-check.ts';
import { commentMarker, renderComment } from './render-comment.ts';
import { renderRehearsalCheck } from './render-rehearsal-check.ts';

/** First half of the advisory lock's key: "feedback" among our advisory locks. */
const FEEDBACK_LOCK_CLASS = 0xb008;
const BUSY_RETRY_MS = 500;

export interface FeedbackContext {
  readonly pool: pg.Pool;
  readonly forge: (kind: string) => Forge;
  readonly publicUrl: string;
  readonly previewUrl: string;
  readonly linkKey: Secret;
  readonly clock?: Pick<Clock, 'now'>;
  /** Of the projects, in what is published at once. */
  readonly shares?: Shares;
  readonly log: { warn(fields: Record<string, unknown>, message: string): void };
}

export type Outcome = { readonly kind: 'done' } | { readonly kind: 'again'; readonly delayMs: number };

/**
 * Says on the forge what is so now: one comment, a check, a deployment. Whatever was said already is not said again.
 * Throws when the forge does not answer; whoever called tries later, and the preview itself is never the worse for it.
 */
export async function publishFeedback(context: FeedbackContext, environmentId: string): Promise<Outcome> {
  const environment = await findEnvironment(context.pool, environmentId);
  if (environment === undefined) return { kind: 'done' };
  if (context.shares === undefined) return await publishAlone(context, environment);
  const leave = context.shares.enter(environment.projectId);
  if (leave === undefined) return { kind: 'again', delayMs: BUSY_RETRY_MS };
  try {
    return await publishAlone(context, environment);
  } finally {
    leave();
  }
}

async function publishAlone(
  context: FeedbackContext,
  { id, projectId, subject }: Environment,
): Promise<Outcome> {
  const client = await context.pool.connect();
  try {
    // Two publishers of one subject would each write a first comment, or the earlier environment its goodbye last.
    const { rows } = await client.query<{ locked: boolean }>(
      'select pg_try_advisory_lock($1, hashtext($2)) as locked',
      [FEEDBACK_LOCK_CLASS, `${projectId} ${subject}`],
    );
    if (rows[0]?.locked !== true) return { kind: 'again', delayMs: BUSY_RETRY_MS };
    const now = (context.clock ?? systemClock).now();
    const state = await readFeedbackState(context.pool, id, { ...context, now });
    if (state !== undefined) await publishState(context, state);
    return { kind: 'done' };
  } finally {
    // A connection that keeps the lock would keep everybody out: better none than that one.
    await client.query('select pg_advisory_unlock_all()').then(
      () => client.release(),
      (error: Error) => client.release(error),
    );
  }
}

interface Speaker {
  readonly context: FeedbackContext;
  readonly forge: Forge;
  readonly repository: RepositoryRef;
  readonly environmentId: string;
  readonly said: readonly Publication[];
}

async function publishState(context: FeedbackContext, state: FeedbackState): Promise<void> {
  const { project, environment } = state;
  // Nobody proposed anything: its check would stand on a commit that a pull request or production has one on.
  if (environment.branchOf !== null) return;
  const speaker: Speaker = {
    context,
    forge: context.forge(project.forge),
    repository: {
      id: project.repositoryId,
      owner: project.owner,
      name: project.name,
      ...(project.forgeInstallationId === null ? {} : { forgeInstallationId: project.forgeInstallationId }),
    },
    environmentId: environment.id,
    said: await listPublications(context.pool, environment.id),
  };
  await publishComment(speaker, state);
  await publishChecks(speaker, state);
  await publishDeployments(speaker, state);
}

async function publishComment(speaker: Speaker, state: FeedbackState): Promise<void> {
  const { number } = state.environment.facts;
  if (number === undefined || !(await isSpeaker(speaker, state))) return;
  const body = renderComment(state);
  // A comment that was never written need not be written to say goodbye.
  const isUnsaid = !speaker.said.some((publication) => publication.kind === 'comment');
  // Nor to say that there is nothing, where the policy wants it so: the check says it.
  if (isUnsaid && (state.phase === 'removed' || state.phase === 'removing' || isQuiet(state))) return;
  await say(speaker, { kind: 'comment', key: '', content: body }, (externalId, mayBeDoubled) =>
    speaker.forge.publishComment(speaker.repository, {
      number,
      body,
      marker: commentMarker(state),
      mayBeDoubled,
      ...(externalId === null ? {} : { externalId }),
    }),
  );
}

/** The newest environment of a subject speaks for it. While that one is held in silence, the one before says how it ended. */
async function isSpeaker({ context }: Speaker, { successor }: FeedbackState): Promise<boolean> {
  if (successor === null) return true;
  if (!isQuiet({ phase: phase(successor), environment: successor })) return false;
  const said = await listPublications(context.pool, successor.id);
  return !said.some(({ kind }) => kind === 'comment');
}

function isQuiet({ phase, environment }: Pick<FeedbackState, 'phase' | 'environment'>): boolean {
  return phase === 'held' && environment.heldQuiet;
}

/** Parts the publications of the second check of a commit from those of the first. */
const REHEARSAL = 'rehearsal ';

async function publishChecks(speaker: Speaker, state: FeedbackState): Promise<void> {
  // What the newer environment of the same subject says about a commit is not this one's to say.
  const others = state.successor?.desiredCommit ?? null;
  const check = renderCheck(state);
  if (check !== undefined) {
    if (check.commit !== others) await sayCheck(speaker, '', check);
    await cancelChecks(speaker, '', { ...check, kept: [check.commit, others] });
  }
  const rehearsal = renderRehearsalCheck(state);
  if (rehearsal.state !== null && rehearsal.commit !== others) await sayCheck(speaker, REHEARSAL, rehearsal);
  await cancelChecks(speaker, REHEARSAL, { ...rehearsal, kept: [rehearsal.commit, others] });
}

async function sayCheck(speaker: Speaker, prefix: string, check: CheckContent): Promise<void> {
  await say(
    speaker,
    {
      ...{ kind: 'check', key: `${prefix}${check.commit}`, content: check },
      detail: { final: isFinal(check.state) },
    },
    (externalId) =>
      speaker.forge.publishCheck(speaker.repository, {
        ...check,
        ...(externalId === null ? {} : { externalId }),
      }),
  );
}

/** Checks of commits that nobody wants any more must not turn for ever. */
async function cancelChecks(
  speaker: Speaker,
  prefix: string,
  now: Pick<CheckContent, 'name' | 'detailsUrl'> & { readonly kept: readonly (string | null)[] },
): Promise<void> {
  for (const { kind, key, hash, detail, failure } of speaker.said) {
    const commit = key.slice(key.lastIndexOf(' ') + 1);
    const isOfThis = kind === 'check' && key === `${prefix}${commit}`;
    const isSaid = detail.final === true && hash !== null && failure === null;
    if (!isOfThis || now.kept.includes(commit) || isSaid) continue;
    const title = 'A newer commit took its place';
    await sayCheck(speaker, prefix, {
      ...{ name: now.name, detailsUrl: now.detailsUrl, commit },
      ...{ state: 'cancelled', title, summary: '', annotations: [] },
    });
  }
}

function isFinal(state: string): boolean {
  return state !== 'queued' && state !== 'in_progress';
}

/** Oldest first, so that what is inactive says so before the new one says success. */
async function publishDeployments(speaker: Speaker, state: FeedbackState): Promise<void> {
  const [newest] = state.deployments;
  for (const deployment of [...state.deployments].reverse()) {
    const known = speaker.said.some(
      (publication) => publication.kind === 'deployment' && publication.key === deployment.id,
    );
    const content = renderDeployment(state, deployment);
    // One that was over before anybody heard of it is not worth announcing.
    if (!known && (deployment.id !== newest?.id || content.state === 'inactive')) continue;
    await say(speaker, { kind: 'deployment', key: deployment.id, content }, (externalId, mayBeDoubled) =>
      speaker.forge.publishDeployment(speaker.repository, {
        ...content,
        mayBeDoubled,
        marker: `${state.installationId}/${state.environment.id}/${deployment.id}`,
        ...(externalId === null ? {} : { externalId }),
      }),
    );
  }
}

/** Writes unless the same was written before. What the forge forbids (a locked conversation) is noted and left. */
async function say(
  speaker: Speaker,
  what: { kind: PublicationKind; key: string; content: unknown; detail?: Readonly<Record<string, unknown>> },
  write: (externalId: string | null, isDoubtful: boolean) => Promise<Published>,
): Promise<void> {
  const hash = createHash('sha256').update(JSON.stringify(what.content)).digest('hex');
  const earlier = speaker.said.find(
    (publication) => publication.kind === what.kind && publication.key === what.key,
  );
  if (earlier?.hash === hash && !isWorthAnotherTry(earlier)) return;
  const doubt = doubtAbout(earlier);
  const publication = {
    environmentId: speaker.environmentId,
    kind: what.kind,
    key: what.key,
    hash,
    detail: { ...what.detail, ...(doubt === 'lasts' ? { doubtful: true } : {}) },
  };
  // Before the forge hears it, that nobody knows what stands there: after a crash or an answer that got lost, what was said
  // earlier is no reason to keep silent.
  const externalId = earlier?.externalId ?? null;
  await writePublication(speaker.context.pool, { ...publication, hash: null, externalId });
  try {
    const published = await write(externalId, doubt !== 'none');
    await writePublication(speaker.context.pool, { ...publication, externalId: published.externalId });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    speaker.context.log.warn(
      { environmentId: speaker.environmentId, kind: what.kind, code: error.code, error },
      'the forge refuses this feedback',
    );
    await writePublication(speaker.context.pool, {
      ...publication,
      externalId,
      failure: error.message,
      detail: { ...what.detail, refusal: error.code },
    });
  }
}

/**
 * Whether the forge may still be at an earlier request whose answer never came. A slow one carries it out after those that
 * followed: then an earlier word stands last, or a comment that was made twice. So what is said after such a request is said
 * once more when nothing can come of it any more.
 */
function doubtAbout(earlier: Publication | undefined): 'none' | 'lasts' | 'ends' {
  if (earlier === undefined || earlier.failure !== null) return 'none';
  if (earlier.hash === null) return 'lasts';
  if (earlier.detail.doubtful !== true) return 'none';
  return earlier.isSettled ? 'ends' : 'lasts';
}

/** Permissions come back: what was said last must not stay false for as long as the preview does not change. */
function isWorthAnotherTry(said: Publication): boolean {
  return (said.detail.refusal === 'forge-forbidden' && said.isOld) || doubtAbout(said) === 'ends';
}

const REFUSALS: ReadonlySet<string> = new Set(['forge-forbidden', 'forge-rejected', 'commit-gone']);

/** An answer that the same words will get again: a locked conversation, a commit that was force-pushed away. */
function isRefusal(error: unknown): error is BoughError {
  return error instanceof BoughError && !error.retryable && REFUSALS.has(error.code);
}
