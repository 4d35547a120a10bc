/** Places of which nobody has more than a share: one whose work does not end leaves the others theirs. */
export interface Shares {
  /** Undefined: it has its share already. Otherwise a place, until what is returned is called. */
  enter(owner: string): (() => void) | undefined;
}

export function createShares(max: number): Shares {
  const taken = new Map<string, number>();
  return {
    enter(owner) {
      const count = taken.get(owner) ?? 0;
      if (count >= max) return undefined;
      taken.set(owner, count + 1);
      return () => {
        const left = (taken.get(owner) ?? 1) - 1;
        if (left === 0) taken.delete(owner);
        else taken.set(owner, left);
      };
    },
  };
}
