import { spellDuration } from '@bough/domain/duration';
import type { Candidate } from '@bough/store/admission';

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
  | {
      readonly kind: 'make-room';
      readonly victim: Candidate;
      readonly position: number;
      readonly reason: string;
    }
  | { readonly kind: 'wait'; readonly position: number; readonly reason: string };

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
 * is refused, the preview that nobody visited for longest is put to sleep.
 */
export function decideAdmission(asking: Asking): Admission {
  const { me, candidates, limits, measured, now } = asking;
  if (me.kind === 'production') return { kind: 'admit' };
  const queue = rank(asking);
  const position = queue.indexOf(me.id) + 1;
  if (asking.needsDisk && measured.diskAvailableBytes < limits.diskReserveBytes) {
    const reason = `the disk has ${size(measured.diskAvailableBytes)} left, and ${size(limits.diskReserveBytes)} are kept for what runs; free some space (${place(position)})`;
    return { kind: 'wait', position, reason };
  }
  if (me.admittedAt !== null) return { kind: 'admit' };
  const shortage = shortageOf(asking, position);
  if (shortage === null) return { kind: 'admit' };
  const others = candidates.filter((other) => other.id !== me.id && other.admittedAt !== null);
  const inScope = others.filter((other) => other.kind === 'preview' && shortage.counts(other));
  // As many are on their way to sleep already as there are who wait before and with this one.
  const leaving = inScope.filter((other) => !other.isWanted).length;
  const reason = `${shortage.reason} (${place(position)})`;
  if (leaving >= position) return { kind: 'wait', position, reason };
  const victim = inScope
    .filter((other) => other.isWanted && other.isSettled && other.priority <= me.priority)
    .filter((other) => now.getTime() - lastUse(other) >= limits.minAwakeMs)
    .sort((a, b) => a.priority - b.priority || lastUse(a) - lastUse(b))
    .at(0);
  if (victim === undefined) return { kind: 'wait', position, reason };
  return {
    kind: 'make-room',
    victim,
    position,
    reason: `${victim.slug} is put to sleep to make room (${place(position)})`,
  };
}

function shortageOf(
  { me, candidates, limits, projectAwake, measured, now }: Asking,
  position: number,
): { reason: string; counts: (other: Candidate) => boolean } | null {
  const awake = candidates.filter(
    (other) => other.admittedAt !== null && other.kind === 'preview' && other.id !== me.id,
  );
  const ofProject = (other: Candidate) => other.projectId === me.projectId;
  if (projectAwake !== null && awake.filter(ofProject).length >= projectAwake) {
    const reason = `the project runs as many previews at once as previews.limits.awake allows (${projectAwake})`;
    return { reason, counts: ofProject };
  }
  if (limits.maxAwake !== null && awake.length + position > limits.maxAwake) {
    const reason = `this machine runs ${awake.length} previews and may run ${limits.maxAwake} at once`;
    return { reason, counts: () => true };
  }
  const unmeasured = awake.filter(
    (other) => !other.isSettled || now.getTime() - (other.admittedAt?.getTime() ?? 0) < UNMEASURED_MS,
  ).length;
  const wanted = limits.memoryReserveBytes + (unmeasured + 1) * limits.memoryPerPreviewBytes;
  if (limits.memoryReserveBytes > 0 && measured.memoryAvailableBytes < wanted) {
    const reason = `the machine has ${size(measured.memoryAvailableBytes)} of memory left, and ${size(wanted)} are needed`;
    return { reason, counts: () => true };
  }
  return null;
}

/** Ids of those who wait, in their order, the asking one among them. */
function rank({ me, candidates }: Asking): string[] {
  const running = (projectId: string) =>
    candidates.filter((other) => other.admittedAt !== null && other.projectId === projectId).length;
  const waiting = candidates.filter(
    (other) => other.admittedAt === null && other.waitingSince !== null && other.id !== me.id,
  );
  return [...waiting, me]
    .sort(
      (a, b) =>
        b.priority - a.priority ||
        running(a.projectId) - running(b.projectId) ||
        since(a) - since(b) ||
        Number(a.id) - Number(b.id),
    )
    .map(({ id }) => id);
}

const since = ({ waitingSince }: Candidate) => waitingSince?.getTime() ?? Number.MAX_SAFE_INTEGER;
const lastUse = ({ lastRequestAt, changedAt }: Candidate) =>
  Math.max(lastRequestAt?.getTime() ?? 0, changedAt.getTime());
const place = (position: number) => (position === 1 ? 'it is next' : `place ${position} in the queue`);

function size(bytes: number): string {
  return bytes >= 1024 ** 3
    ? `${(bytes / 1024 ** 3).toFixed(1)} GiB`
    : `${Math.round(bytes / 1024 ** 2)} MiB`;
}

/** How long ago, for the reason of a sleep. */
export function unvisitedFor(victim: Candidate, now: Date): string {
  return spellDuration(Math.max(1, Math.round((now.getTime() - lastUse(victim)) / 60_000)) * 60);
}
