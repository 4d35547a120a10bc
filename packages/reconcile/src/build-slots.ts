/** Who wants to build, as far as the order goes. */
export interface BuildWish {
  readonly environmentId: string;
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

  return {
    limit,
    take(wish, now) {
      for (const [id, { askedAt }] of waiting)
        if (now.getTime() - askedAt > FORGOTTEN_AFTER_MS) waiting.delete(id);
      tickets += 1;
      const ticket = waiting.get(wish.environmentId)?.ticket ?? tickets;
      waiting.set(wish.environmentId, { ...wish, ticket, askedAt: now.getTime() });
      const position = inOrder().findIndex(({ environmentId }) => environmentId === wish.environmentId) + 1;
      return taken + position > limit ? { kind: 'wait', position } : { kind: 'taken', release: start(wish) };
    },
    leave(environmentId) {
      if (waiting.delete(environmentId) && taken < limit) callNext();
    },
  };
}
