import { spellDuration } from '@bough/domain/duration';
import type { Candidate, WaitsFor } from '@bough/store/admission';

/** What the machine has, measured now. */
export interface Measured {
  readonly memoryAvailableBytes: number;
  /** Free on the fullest of the disks that Bough writes to. */
  readonly diskAvailableBytes: number;
}

/** How much may run at once; null: as much as the machine bears. */
export interface CapacityLimits {
  readonly maxAwake: number | null;
  readonly memoryReserveBytes: number;
  readonly diskReserveBytes: number;
  /** What a preview that was just admitted, and is not to be measured yet, is expected to take. */
  readonly memoryPerPreviewBytes: number;
  /** Nobody is put to sleep for others who came, or was visited, so recently. */
  readonly minAwakeMs: number;
}

export type Admission =
  | { readonly kind: 'admit' }
  /** Put this one to sleep; then there will be room. */
  | ({ readonly kind: 'make-room'; readonly victim: Candidate } & Place)
  | ({ readonly kind: 'wait' } & Place);

/** In the queue, and what everybody in it waits for. */
interface Place {
  readonly position: number;
  readonly waitsFor: WaitsFor;
  readonly reason: string;
}

export interface Asking {
  /** Among `candidates`, or as it would be there. */
  readonly me: Candidate;
  readonly candidates: readonly Candidate[];
  readonly limits: CapacityLimits;
  /** `previews.limits.awake` of its project. */
  readonly projectAwake: number | null;
  readonly measured: Measured;
  /** A deployment writes to the disk; waking writes next to nothing. */
  readonly needsDisk: boolean;
  readonly now: Date;
}

/** What was admitted so recently may not have taken its memory yet. */
const UNMEASURED_MS = 20_000;

/**
 * Who gets a place among those that run. Pure. Production always does: its deployments are what everything else is for. Among
 * those that wait, higher priorities come first, then projects that run less, then whoever waits longer; before anybody
 * is refused, the preview that nobody visited for longest is put to sleep. A full disk stops who writes to it and nobody
 * else: those who wait for it stand where they stood as soon as it has room again.
 */
export function decideAdmission(asking: Asking): Admission {
  const { me, candidates, limits, measured, now } = asking;
  if (me.kind === 'production') return { kind: 'admit' };
  if (asking.needsDisk && isDiskFull(asking)) {
    const reason = `the disk has ${size(measured.diskAvailableBytes)} left, and ${size(limits.diskReserveBytes)} are kept for what runs; free some space`;
    const position = positionAmong(asking, (other) => other.waitingFor === 'disk');
    return { kind: 'wait', position, waitsFor: 'disk', reason };
  }
  if (me.admittedAt !== null) return { kind: 'admit' };
  const shortage = shortageOf(asking);
  if (shortage === null) return { kind: 'admit' };
  const { counts, ...place } = shortage;
  const others = candidates.filter((other) => other.id !== me.id && other.admittedAt !== null);
  const inScope = others.filter((other) => other.kind === 'preview' && counts(other));
  // As many are on their way to sleep already as there are who wait before and with this one.
  const leaving = inScope.filter((other) => !other.isWanted).length;
  if (leaving >= place.position) return { kind: 'wait', ...place };
  const victim = inScope
    .filter((other) => other.isWanted && other.isSettled && other.priority <= me.priority)
    .filter((other) => now.getTime() - lastUse(other) >= limits.minAwakeMs)
    .sort((a, b) => a.priority - b.priority || lastUse(a) - lastUse(b))
    .at(0);
  if (victim === undefined) return { kind: 'wait', ...place };
  return { kind: 'make-room', victim, ...place, reason: `${victim.slug} is put to sleep to make room` };
}

/** What there is not enough of for everybody up to the one that asks: whoever stands before it gets its place first. */
function shortageOf(asking: Asking): (Place & { counts: (other: Candidate) => boolean }) | null {
  const { me, candidates, limits, projectAwake, measured, now } = asking;
  const awake = candidates.filter(
    (other) => other.admittedAt !== null && other.kind === 'preview' && other.id !== me.id,
  );
  const ofProject = (other: Candidate) => other.projectId === me.projectId;
  const inProject = positionAmong(asking, (other) => ofProject(other) && couldStart(asking, other));
  if (projectAwake !== null && awake.filter(ofProject).length + inProject > projectAwake) {
    const reason = `the project runs as many previews at once as previews.limits.awake allows (${projectAwake})`;
    return { reason, position: inProject, waitsFor: 'project', counts: ofProject };
  }
  const place = placeOnMachine(asking);
  if (limits.maxAwake !== null && awake.length + place.position > limits.maxAwake) {
    const reason = `this machine runs ${awake.length} previews and may run ${limits.maxAwake} at once`;
    return { reason, ...place, counts: () => true };
  }
  const unmeasured = awake.filter(
    (other) => !other.isSettled || now.getTime() - (other.admittedAt?.getTime() ?? 0) < UNMEASURED_MS,
  ).length;
  const wanted = limits.memoryReserveBytes + (unmeasured + place.position) * limits.memoryPerPreviewBytes;
  if (limits.memoryReserveBytes > 0 && measured.memoryAvailableBytes < wanted) {
    const reason = `the machine has ${size(measured.memoryAvailableBytes)} of memory left, and ${size(wanted)} are needed`;
    return { reason, ...place, counts: () => true };
  }
  return null;
}

/** Who waits for a place in its own project could not take one of the machine's, and so stands in nobody's way. */
function placeOnMachine(asking: Asking): Pick<Place, 'position' | 'waitsFor'> {
  const position = positionAmong(
    asking,
    (other) => other.waitingFor !== 'project' && couldStart(asking, other),
  );
  return { position, waitsFor: 'machine' };
}

/** It needs a place, and nothing else that there is none of: what waits for a full disk could not take a place. */
function couldStart(asking: Asking, { admittedAt, waitingFor }: Candidate): boolean {
  return admittedAt === null && !(waitingFor === 'disk' && isDiskFull(asking));
}

function isDiskFull({ limits, measured }: Asking): boolean {
  return measured.diskAvailableBytes < limits.diskReserveBytes;
}

function positionAmong({ me, candidates }: Asking, stands: (other: Candidate) => boolean): number {
  const queue = inOrder([...candidates.filter((other) => other.id !== me.id), me], (other) =>
    other.id === me.id ? true : waits(other) && stands(other),
  );
  return queue.findIndex(({ id }) => id === me.id) + 1;
}

/** Who has a place may still wait for room on the disk. */
export const waits = (of: Candidate): boolean =>
  of.waitingSince !== null && (of.admittedAt === null || of.waitingFor === 'disk');

/** Those of them that wait, whoever comes first in front. Pure. */
export function inOrder(
  candidates: readonly Candidate[],
  isWaiting: (of: Candidate) => boolean,
): Candidate[] {
  const running = new Map<string, number>();
  for (const { projectId, admittedAt } of candidates)
    if (admittedAt !== null) running.set(projectId, (running.get(projectId) ?? 0) + 1);
  const runs = ({ projectId }: Candidate) => running.get(projectId) ?? 0;
  return candidates
    .filter(isWaiting)
    .sort(
      (a, b) =>
        b.priority - a.priority || runs(a) - runs(b) || since(a) - since(b) || Number(a.id) - Number(b.id),
    );
}

const since = ({ waitingSince }: Candidate) => waitingSince?.getTime() ?? Number.MAX_SAFE_INTEGER;
const lastUse = ({ lastRequestAt, changedAt }: Candidate) =>
  Math.max(lastRequestAt?.getTime() ?? 0, changedAt.getTime());

function size(bytes: number): string {
  return bytes >= 1024 ** 3
    ? `${(bytes / 1024 ** 3).toFixed(1)} GiB`
    : `${Math.round(bytes / 1024 ** 2)} MiB`;
}

/** How long ago, for the reason of a sleep. */
export function unvisitedFor(victim: Candidate, now: Date): string {
  return spellDuration(Math.max(1, Math.round((now.getTime() - lastUse(victim)) / 60_000)) * 60);
}
