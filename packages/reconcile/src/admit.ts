import type { Environment } from '@bough/domain/environment';
import {
  type Candidate,
  listCandidates,
  lockAdmission,
  writeAdmitted,
  writeQueued,
} from '@bough/store/admission';
import { transaction } from '@bough/store/database';
import { type EnvironmentLock, Interrupted } from '@bough/store/environment-lock';
import type { Context } from './context.ts';
import {
  type Admission,
  type CapacityLimits,
  decideAdmission,
  inOrder,
  type Measured,
  unvisitedFor,
  waits,
} from './decide-admission.ts';
import { Waiting } from './deploy/run.ts';
import { putToSleep } from './idle.ts';
import type { Policy } from './policy.ts';

/** How much the machine bears, and what it has; see `CapacityLimits`. */
export interface Capacity extends CapacityLimits {
  measure(): Promise<Measured>;
}

/** Comes again soon when somebody is on its way out; whoever goes to sleep or away looks for who waits, too. */
const ROOM_SOON_MS = 250;
const ROOM_LATER_MS = 3_000;

/** Returns when the environment has a place among those that run; throws `Waiting`, with reason and place, while there is none. */
export async function admit(
  context: Context,
  of: { environment: Environment; lock: EnvironmentLock; policy: Policy | null; needsDisk: boolean },
): Promise<void> {
  const { capacity } = context;
  if (capacity === undefined) return;
  const { environment, lock } = of;
  const measured = await capacity.measure();
  const now = context.clock.now();
  const admission = await transaction(context.pool, async (db): Promise<Admission> => {
    await lockAdmission(db);
    const candidates = await listCandidates(db);
    const me = candidates.find(({ id }) => id === environment.id) ?? candidateOf(environment);
    const decided = decideAdmission({
      ...{ me, candidates, limits: capacity, measured, needsDisk: of.needsDisk, now },
      projectAwake: of.policy?.previews.limits.awake ?? null,
    });
    const isWritten =
      decided.kind === 'admit'
        ? isAdmitted(me) || (await writeAdmitted(db, lock.fence))
        : await writeQueued(db, lock.fence, decided);
    if (!isWritten) throw new Interrupted('superseded');
    return decided;
  });
  if (admission.kind === 'admit') return;
  if (admission.kind === 'make-room') {
    const { victim } = admission;
    const reason = `nobody visited it for ${unvisitedFor(victim, now)} and ${environment.slug} needed the room`;
    await putToSleep(context, { ...victim, reason, actor: 'bough' });
    throw new Waiting(admission.reason, { position: admission.position, delayMs: ROOM_SOON_MS });
  }
  throw new Waiting(admission.reason, { position: admission.position, delayMs: ROOM_LATER_MS });
}

const isAdmitted = (of: Candidate) => of.admittedAt !== null && of.waitingSince === null;

function candidateOf(environment: Environment): Candidate {
  return { ...environment, isWanted: true, isSettled: false, waitingFor: null };
}

/** Somebody made room: those who are next look again at once, whatever they wait for. */
export async function callWaiting(context: Context): Promise<void> {
  if (context.capacity === undefined) return;
  const candidates = await listCandidates(context.pool);
  for (const scope of ['machine', 'project', 'disk']) {
    const next = inOrder(candidates, (of) => waits(of) && (of.waitingFor ?? 'machine') === scope);
    for (const { id } of next.slice(0, CALLED_MAX)) await context.enqueue('reconcile', id);
  }
}

const CALLED_MAX = 5;
