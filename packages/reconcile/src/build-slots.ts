/** Bounds builds at once, apart from reconciles: a teardown never queues behind a build. */
export interface BuildSlots {
  /** Undefined when all are taken. */
  take(): { release(): void } | undefined;
  readonly taken: number;
  readonly limit: number;
}

export function createBuildSlots(limit: number, onRelease: () => void): BuildSlots {
  let taken = 0;
  return {
    limit,
    get taken() {
      return taken;
    },
    take() {
      if (taken >= limit) return undefined;
      taken += 1;
      let released = false;
      return {
        release() {
          if (released) return;
          released = true;
          taken -= 1;
          onRelease();
        },
      };
    },
  };
}
