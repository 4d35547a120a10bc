import type { SimProcess } from './process.ts';
import type { Random } from './random.ts';

/** Where a process dies in this history. */
export interface CrashPlan {
  /** Asked at every await, in order. */
  decide(name: string, process: SimProcess): 'before' | 'after' | undefined;
  /** From now on nothing comes by chance any more; what is aimed at comes once more at most. */
  calmDown(): void;
}

/** One named await is aimed at, so that over many histories each of them is hit; a few more crashes come anywhere. */
export function createCrashPlan(random: Random, aim: string | undefined): CrashPlan {
  let wanted = aim === undefined ? 0 : random.int(1, 2);
  let skip = random.chance(0.6) ? 0 : random.int(1, 3);
  let stray = random.int(0, 2);
  return {
    calmDown() {
      stray = 0;
      wanted = Math.min(wanted, 1);
      skip = 0;
    },
    decide(name) {
      if (wanted > 0 && name === aim) {
        if (skip > 0) {
          skip -= 1;
          return undefined;
        }
        wanted -= 1;
        skip = random.int(0, 3);
        return random.chance(0.5) ? 'before' : 'after';
      }
      if (stray > 0 && random.chance(0.0015)) {
        stray -= 1;
        return random.chance(0.5) ? 'before' : 'after';
      }
      return undefined;
    },
  };
}

/** A history as the first plan has it until one of these awaits comes: there somebody dies for certain, once. */
export function alsoAt(plan: CrashPlan, random: Random, aims: readonly string[]): CrashPlan {
  const left = new Set(aims);
  return {
    calmDown: () => plan.calmDown(),
    decide(name, process) {
      const decided = plan.decide(name, process);
      if (!left.delete(name)) return decided;
      return decided ?? (random.chance(0.5) ? 'before' : 'after');
    },
  };
}
