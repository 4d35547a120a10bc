import type { Deployment } from '@bough/store/deployments';
import type { BuildSlots, BuildWish } from '../build-slots.ts';
import type { Context } from '../context.ts';
import { Waiting } from './run.ts';

/** Comes again when a slot may be free; the release of a slot also wakes whoever waits. */
const SLOT_RETRY_MS = 2_000;

/** Throws `Waiting`, with the place, while others come first. Returns how to give the slot back. */
export function takeBuildSlot({ buildSlots, clock }: SlotContext, wish: BuildWish): () => void {
  const slot = buildSlots.take(wish, clock.now());
  if (slot.kind === 'wait') throw waitingForSlot(buildSlots, wish, slot.position);
  return slot.release;
}

/**
 * Who waits for a slot and looks again goes through no step for that: neither is its source fetched anew every two seconds,
 * nor does its comment turn between "is being built" and its place. Throws `Waiting` as long as nothing has changed.
 */
export async function keepWaitingForSlot(
  context: SlotContext & Pick<Context, 'engine'>,
  deployment: Pick<Deployment, 'id' | 'environmentId'>,
): Promise<void> {
  const { buildSlots, clock } = context;
  const asked = buildSlots.askAgain(deployment.environmentId, clock.now());
  if (asked === undefined || asked.isTurn || asked.wish.deploymentId !== deployment.id) return;
  // Somebody else built the same meanwhile.
  if ((await context.engine.artifacts.find(asked.wish.artifactKey)) !== undefined) return;
  throw waitingForSlot(buildSlots, asked.wish, asked.position);
}

type SlotContext = Pick<Context, 'buildSlots' | 'clock'>;

function waitingForSlot({ limit }: BuildSlots, { app }: BuildWish, position: number): Waiting {
  return new Waiting(`all ${limit} build slots are taken; the build of "${app}" starts when one is free`, {
    position,
    delayMs: SLOT_RETRY_MS,
  });
}
