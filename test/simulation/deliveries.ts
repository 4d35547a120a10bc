import type { ParsedDelivery } from '@bough/forge/forge';
import { currentJob } from './process.ts';
import type { SimServer } from './processes.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import { type ForgeWorld, namesOf, type SentDelivery } from './world/forge-world.ts';

/** What of a delivery differs from event to event. */
export type Hint =
  | { readonly kind: 'subjects'; readonly subjects: readonly string[] }
  | {
      readonly kind: 'comment';
      readonly subject: string;
      readonly body: string;
      readonly user: string;
      readonly commentId: number;
    }
  | {
      readonly kind: 'action';
      readonly subject: string;
      readonly action: string;
      readonly commit: string;
      readonly user: string;
    }
  | { readonly kind: 'repositories' };

export interface Deliveries {
  /** The forge tells Bough, perhaps: some are lost, come twice, late, or in another order. */
  send(repository: number, event: string, action: string | null, hint: Hint): void;
  redeliver(delivery: SentDelivery): void;
  /** From now on each arrives soon, once. */
  setReliable(): void;
}

let jobs = 0;

export function createDeliveries(of: {
  scheduler: Scheduler;
  random: Random;
  world: ForgeWorld;
  /** Whose webhooks cannot reach us: nothing is ever sent. */
  isPolled: (repository: number) => boolean;
  server: () => SimServer | undefined;
  onFate: (fate: 'lost' | 'doubled' | 'late') => void;
}): Deliveries {
  const { scheduler, random, world } = of;
  let isReliable = false;

  function arrive(delivery: SentDelivery, afterMs: number): void {
    scheduler.at(afterMs, null, () => {
      const server = of.server();
      if (server?.process.isAlive !== true) {
        delivery.failed = true;
        return;
      }
      jobs += 1;
      const job = { id: -jobs, process: server.process, kind: 'receive', key: delivery.parsed.deliveryId };
      let isAnswered = false;
      const fail = () => {
        if (!isAnswered) delivery.failed = true;
      };
      server.process.onDeath.push(fail);
      void currentJob
        .run(job, () => server.receiver.receive(server.forge, delivery.parsed))
        .then(() => {
          isAnswered = true;
        }, fail);
    });
  }

  return {
    send(repository, event, action, hint) {
      if (of.isPolled(repository)) return;
      const id = world.nextId();
      const { owner, name } = namesOf(world, repository);
      const parsed: ParsedDelivery = {
        ...{ deliveryId: `delivery-${id}`, event, action, repositoryId: repository, owner, name },
        ...(hint.kind === 'repositories'
          ? { kind: 'repositories', added: [{ id: repository, owner, name }], removed: [] }
          : hint),
      };
      const delivery: SentDelivery = { id, parsed, sentAt: scheduler.now(), failed: false };
      world.deliveries.push(delivery);
      const soon = () => random.int(10, 400);
      if (isReliable || random.chance(0.7)) return arrive(delivery, soon());
      const fate = random.pick(['lost', 'doubled', 'late'] as const);
      of.onFate(fate);
      if (fate === 'doubled') arrive(delivery, soon());
      if (fate !== 'lost')
        arrive(delivery, fate === 'late' ? random.int(2_000, 90_000) : random.int(10, 8_000));
    },
    redeliver: (delivery) => arrive(delivery, random.int(50, 1_000)),
    setReliable() {
      isReliable = true;
    },
  };
}
