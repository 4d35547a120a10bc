import { isRehearsing } from '@bough/store/rehearsal-lock';
import type { Context } from '../context.ts';

const LOOK_MS = 100;
/** A server that must be killed takes its time; what is still there after that is reaped. */
const WAIT_MAX_MS = 30_000;

/** Waits for a rehearsal to notice that its environment goes away, and to clear up. */
export async function untilRehearsalEnds(
  context: Pick<Context, 'pool' | 'clock'>,
  environmentId: string,
  signal: AbortSignal,
): Promise<void> {
  const deadline = context.clock.now().getTime() + WAIT_MAX_MS;
  while (context.clock.now().getTime() < deadline && (await isRehearsing(context.pool, environmentId))) {
    signal.throwIfAborted();
    await context.clock.sleep(LOOK_MS, signal);
  }
}
