import { BoughError } from '@bough/domain/bough-error';
import type { Workload } from '@bough/engine/engine';
import type { Context } from '../context.ts';

/** What exits by itself is started again by the engine: stopped or gone, somebody else did it (a reboot, an operator). */
export function isStopped(workload: Workload | undefined): boolean {
  return workload === undefined || workload.state === 'stopped';
}

/** `what` was stopped while something waited for it. Not the code's fault: it is tried again. */
export function stoppedMeanwhile(what: string): BoughError {
  return new BoughError({
    code: STOPPED,
    message: `${what} was stopped by something else while it was being deployed.`,
    hint: 'A restart of the machine does that, and an operator may. Bough tries again by itself.',
    retryable: true,
  });
}

const STOPPED = 'stopped-meanwhile';

export function isStoppedMeanwhile(error: unknown): boolean {
  return error instanceof BoughError && error.code === STOPPED;
}

/** Why something failed whose reason is not its own: one of what it needs does not run. Workload ids by their words. */
export async function findStopped(
  { engine }: Pick<Context, 'engine'>,
  needed: Iterable<readonly [what: string, workloadId: string]>,
): Promise<BoughError | undefined> {
  for (const [what, id] of needed) if (isStopped(await engine.observe(id))) return stoppedMeanwhile(what);
  return undefined;
}
