import { spellDuration } from '@bough/domain/duration';
import { findEnvironment } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { listExpired } from '@bough/store/preview-limits';
import { insertRequest } from '@bough/store/requests';
import { listIdle, writeAsleep } from '@bough/store/sleep';
import type { Context } from './context.ts';
import { expiredAt } from './desire.ts';
import { observeKey } from './observe.ts';

/** Puts previews to sleep that nobody visited for as long as their policy says. Returns how many. */
export async function sleepIdle(context: Pick<Context, 'pool' | 'enqueue' | 'clock'>): Promise<number> {
  let count = 0;
  for (const idle of await listIdle(context.pool, context.clock.now())) {
    const reason = `nobody visited it for ${spellDuration(idle.idleSeconds)}`;
    if (await putToSleep(context, { ...idle, reason, actor: 'bough' })) count += 1;
  }
  return count;
}

/** The row, the record of it, and the look. False when anything came in between. */
export async function putToSleep(
  context: Pick<Context, 'pool' | 'enqueue'>,
  judged: { id: string; generation: string; lastRequestAt: Date | null; reason: string; actor: string },
): Promise<boolean> {
  if (!(await writeAsleep(context.pool, { ...judged, environmentId: judged.id }))) return false;
  const environment = await findEnvironment(context.pool, judged.id);
  await appendEvent(context.pool, {
    projectId: environment?.projectId ?? null,
    environmentId: judged.id,
    actor: judged.actor,
    kind: 'environment.asleep',
    detail: { reason: judged.reason },
  });
  await context.enqueue('reconcile', judged.id);
  return true;
}

/**
 * Asks previews away that are older than their policy allows, and branches whose time is over. A push, or whoever asks,
 * brings a preview back; a branch stays away.
 */
export async function expire(context: Pick<Context, 'pool' | 'enqueue' | 'clock'>): Promise<number> {
  const expired = await listExpired(context.pool, context.clock.now());
  for (const { projectId, subject, desiredCommit, isAsked } of expired) {
    const asked = { projectId, subject, kind: 'delete' as const, askedBy: 'bough' };
    if (!isAsked) await insertRequest(context.pool, { ...asked, argument: expiredAt(desiredCommit) });
    await context.enqueue('observe', observeKey(projectId, subject));
  }
  return expired.length;
}
