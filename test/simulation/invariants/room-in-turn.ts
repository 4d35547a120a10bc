import type { Change, Invariant, Rest, Row, Watched } from '../invariant.ts';
import { isAdmission } from './not-too-many-awake.ts';

/** Between a decision and what is written because of it. */
const JUST_NOW_MS = 2_000;

/**
 * Where there is little room everybody gets some in turn: production at once, of the others whoever's project runs less and
 * whoever waits longer; who gives way is the one that nobody used for longest; and in the end nobody waits but where there
 * is no room for anybody, and is told so.
 */
export function createRoomInTurn(): Invariant {
  /** When an environment was last being worked at. */
  const busyAt = new Map<string, number>();
  return {
    name: 'room in turn',
    change({ what, before, after }: Change, watched) {
      if (what !== 'environments' || after === null) return undefined;
      if (!isSettled(after) || (before !== null && !isSettled(before)))
        busyAt.set(String(after.id), watched.now());
      if (after.kind === 'production') return production(after);
      // Looks that are repeated write the place before the reason.
      const told = before?.waiting_reason === after.waiting_reason ? undefined : place(after);
      if (told !== undefined) return told;
      if (isAdmission(before, after)) return overtaken(before ?? after, after, watched);
      if (after.desired_state === 'asleep' && before?.desired_state === 'running' && gaveWay(after))
        return wronged(before, busyAt, watched);
      return undefined;
    },
    atRest(rest, watched) {
      return watched.size.memoryFor === 0 ? everyoneTold(rest) : nobodyWaits(rest);
    },
  };
}

function isSettled(row: Row): boolean {
  return row.generation === row.observed_generation && row.running_step === null;
}

function gaveWay({ sleep_reason: reason }: Row): boolean {
  return String(reason).endsWith('needed the room');
}

function production(row: Row): string | undefined {
  if (row.desired_state === 'asleep') return 'production is put to sleep';
  // It may wait for a build, which is told the same way.
  return row.waiting_for === null ? undefined : 'production waits for a place';
}

/** Whoever is told of a queue is told the place in it. */
function place({ waiting_reason: reason, waiting_position: position }: Row): string | undefined {
  const [, next, number] = /\((?:(it is next)|place (\d+) in the queue)\)$/.exec(String(reason)) ?? [];
  if (next === undefined && number === undefined) return undefined;
  const told = next === undefined ? Number(number) : 1;
  return told === position ? undefined : `place ${String(position)} is told as "${String(reason)}"`;
}

/** Those before it that wait for the same must find room too. */
function overtaken(before: Row, after: Row, { environments, size }: Watched): string | undefined {
  if (size.maxAwake === null) return undefined;
  const others = [...environments.values()].filter(
    (row) => row.kind === 'preview' && row.removed_at === null && row.id !== after.id,
  );
  const running = (projectId: unknown) =>
    others.filter((row) => row.project_id === projectId && row.admitted_at !== null).length;
  const since = (row: Row) => Date.parse(String(row.waiting_since ?? '9999-01-01'));
  const first = others.filter(
    (row) =>
      isWaiting(row) &&
      (running(row.project_id) < running(after.project_id) ||
        (running(row.project_id) === running(after.project_id) && since(row) < since(before))),
  );
  const awake = others.filter((row) => row.admitted_at !== null).length;
  return awake + first.length + 1 <= size.maxAwake
    ? undefined
    : `environment ${String(after.id)} gets the place that ${first.map(({ id }) => `environment ${String(id)}`).join(' and ')} waits for`;
}

function isWaiting(row: Row): boolean {
  return (
    row.waiting_since !== null &&
    row.waiting_for === 'machine' &&
    row.admitted_at === null &&
    (row.held_reason === null || row.release_deployment_id !== null) &&
    row.desired_state === 'running' &&
    row.generation !== row.observed_generation &&
    row.retry_at === null
  );
}

/** Another one that could have slept instead was used less recently. */
function wronged(row: Row, busyAt: ReadonlyMap<string, number>, { environments, now }: Watched) {
  const lastUse = (of: Row) =>
    Math.max(...[of.changed_at, of.last_request_at].map((at) => (at === null ? 0 : Date.parse(String(at)))));
  const unused = [...environments.values()].find(
    (other) =>
      other.id !== row.id &&
      other.kind === 'preview' &&
      other.removed_at === null &&
      other.admitted_at !== null &&
      other.desired_state === 'running' &&
      isSettled(other) &&
      now() - (busyAt.get(String(other.id)) ?? 0) > JUST_NOW_MS &&
      lastUse(other) < lastUse(row),
  );
  return unused && `environment ${String(row.id)} gives way, and ${String(unused.id)} was used less recently`;
}

function nobodyWaits({ environments }: Rest): string | undefined {
  const waits = environments.find((row) => row.removedAt === null && row.waitingReason !== null);
  return waits && `${waits.subject} still waits: ${waits.waitingReason}`;
}

/** Every place is told once. */
function everyoneTold({ environments }: Rest): string | undefined {
  const places = environments
    .filter((row) => row.removedAt === null && row.waitingReason !== null)
    .map(({ waitingPosition }) => waitingPosition)
    .sort();
  return places.every((told, index) => told === index + 1)
    ? undefined
    : `those who wait are told the places ${places.join(', ')}`;
}
