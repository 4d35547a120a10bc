/** Who wants to build what. */
export interface BuildWish {
  readonly environmentId: string;
  /** What is wanted since has another, and may need no build. */
  readonly deploymentId: string;
  readonly app: string;
  readonly artifactKey: string;
  readonly projectId: string;
  readonly kind: 'production' | 'preview';
  readonly priority: number;
  /** It asks again by itself, and there is nobody to call. */
  readonly isWaiting?: true | undefined;
}

/** Bounds builds at once, apart from reconciles: a teardown never queues behind a build. */
export interface BuildSlots {
  /** Who has to wait asks again and keeps its place; who is before it gets the next slot, whoever asks first. */
  take(
    wish: BuildWish,
    now: Date,
  ): { readonly kind: 'taken'; release(): void } | { readonly kind: 'wait'; readonly position: number };
  /**
   * The wish of one that waits, and its place now; `isTurn`: it may take a slot. It counts as asked. Undefined: it does not
   * wait, or nobody knows any more.
   */
  askAgain(
    environmentId: string,
    now: Date,
  ): { readonly wish: BuildWish; readonly position: number; readonly isTurn: boolean } | undefined;
  /** It does not want to build any more, or not now. */
  leave(environmentId: string): void;
  readonly limit: number;
}

/** Whoever has not asked for so long is not waited for: its look was superseded, or another worker has it. */
const FORGOTTEN_AFTER_MS = 15_000;

/**
 * Production builds first, then higher priorities, then projects that build less, then those whose turn was longest ago: one
 * with fifty pull requests takes turns with one that has a single one. `onFree` is told who is next.
 */
export function createBuildSlots(
  limit: number,
  onFree: (environmentIds: readonly string[]) => void,
): BuildSlots {
  const waiting = new Map<string, BuildWish & { readonly ticket: number; readonly askedAt: number }>();
  const building = new Map<string, number>();
  const turns = new Map<string, number>();
  let taken = 0;
  let tickets = 0;

  const inOrder = () =>
    [...waiting.values()].sort(
      (a, b) =>
        Number(b.kind === 'production') - Number(a.kind === 'production') ||
        b.priority - a.priority ||
        (building.get(a.projectId) ?? 0) - (building.get(b.projectId) ?? 0) ||
        (turns.get(a.projectId) ?? 0) - (turns.get(b.projectId) ?? 0) ||
        a.ticket - b.ticket,
    );

  function callNext(): void {
    const next = inOrder()
      .slice(0, limit - taken)
      .filter(({ isWaiting }) => isWaiting !== true);
    if (next.length > 0) onFree(next.map(({ environmentId }) => environmentId));
  }

  function start({ environmentId, projectId }: BuildWish): () => void {
    waiting.delete(environmentId);
    taken += 1;
    building.set(projectId, (building.get(projectId) ?? 0) + 1);
    tickets += 1;
    turns.set(projectId, tickets);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      taken -= 1;
      const left = (building.get(projectId) ?? 1) - 1;
      if (left === 0) building.delete(projectId);
      else building.set(projectId, left);
      callNext();
    };
  }

  /** Returns its place. */
  function queueUp(wish: BuildWish, now: Date): number {
    for (const [id, { askedAt }] of waiting)
      if (now.getTime() - askedAt > FORGOTTEN_AFTER_MS) waiting.delete(id);
    tickets += 1;
    const ticket = waiting.get(wish.environmentId)?.ticket ?? tickets;
    waiting.set(wish.environmentId, { ...wish, ticket, askedAt: now.getTime() });
    return inOrder().findIndex(({ environmentId }) => environmentId === wish.environmentId) + 1;
  }

  return {
    limit,
    take(wish, now) {
      const position = queueUp(wish, now);
      return taken + position > limit ? { kind: 'wait', position } : { kind: 'taken', release: start(wish) };
    },
    askAgain(environmentId, now) {
      const wish = waiting.get(environmentId);
      if (wish === undefined) return undefined;
      const position = queueUp(wish, now);
      return { wish, position, isTurn: taken + position <= limit };
    },
    leave(environmentId) {
      if (waiting.delete(environmentId) && taken < limit) callNext();
    },
  };
}
