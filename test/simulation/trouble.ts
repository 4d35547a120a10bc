import type { ForgeErrorCode } from '@bough/forge/forge';
import type { Connections } from './connections.ts';
import type { SimProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { ForgeTrouble } from './world/forge.ts';
import type { Machine } from './world/machine.ts';
import type { QueueStore } from './world/queue-store.ts';
import type { Disk } from './world/volumes.ts';

/** What goes wrong outside of Bough. Each says in words what it did, or undefined when there was nothing to break. */
export interface Trouble {
  strike(): { event: string; text: string } | undefined;
  /** Everything works again. */
  end(): void;
}

export function createTrouble(of: {
  random: Random;
  scheduler: Scheduler;
  forge: ForgeTrouble;
  connections: Connections;
  queueStore: QueueStore;
  machine: Machine;
  disk: Disk;
  living: () => SimProcess[];
  kill: (process: SimProcess, why: string) => void;
}): Trouble {
  const { random, scheduler, forge, connections, queueStore, machine, disk } = of;

  function outage(codes: readonly ForgeErrorCode[]): string {
    const ms = random.int(500, 20_000);
    forge.share = random.pick([0.2, 0.5, 1]);
    forge.codes = codes;
    scheduler.at(ms, null, () => {
      forge.share = 0;
    });
    return `${Math.round(forge.share * 100)} % of calls for ${ms} ms`;
  }

  const strikes: Readonly<Record<string, () => string | undefined>> = {
    'forge 5xx': () => outage(['forge-unreachable']),
    'forge 429 and secondary limits': () => outage(['forge-rate-limited']),
    'forge 403': () => outage(['forge-forbidden']),
    'forge of every kind': () => outage(['forge-unreachable', 'forge-rate-limited', 'forge-forbidden']),
    'queue emptied': () => {
      queueStore.empty();
      return 'everything in it is gone';
    },
    'queue down': () => {
      const ms = random.int(500, 15_000);
      queueStore.goDown(ms);
      return `for ${ms} ms`;
    },
    'job run twice': () => queueStore.doubleOne(),
    'postgres restarted': () => {
      const ms = random.int(0, 2_000);
      connections.restart(ms);
      return `away for ${ms} ms`;
    },
    'clock jumps': () => {
      const ms = random.pick([-60_000, -5_000, 5_000, 60_000, 600_000]);
      scheduler.jump(ms);
      return `by ${ms} ms`;
    },
    'disk full': () => {
      const ms = random.int(500, 20_000);
      disk.setFull(true);
      scheduler.at(ms, null, () => disk.setFull(false));
      return `for ${ms} ms`;
    },
    'machine reboots': () => {
      machine.faults.reboot();
      return 'no workload runs';
    },
    'process killed': () => {
      const living = of.living();
      if (living.length === 0) return undefined;
      const process = random.pick(living);
      of.kill(process, 'kill -9');
      return process.name;
    },
  };

  return {
    strike() {
      const event = random.pick(Object.keys(strikes));
      const what = strikes[event]?.();
      return what === undefined ? undefined : { event, text: `${event}: ${what}` };
    },
    end() {
      forge.share = 0;
      disk.setFull(false);
    },
  };
}
