import type { Context } from '../context.ts';
import type { PlannedRun } from '../deploy/run.ts';

/**
 * Whether a deployment's hook is to be tried on production's data, too: the policy says so, there is a hook, and a pull request
 * to say it on.
 */
export function wantsRehearsal(run: Pick<PlannedRun, 'environment' | 'policy' | 'plan'>): boolean {
  return (
    run.environment.kind === 'preview' &&
    run.environment.branchOf === null &&
    run.policy?.data?.rehearsal.enabled === true &&
    run.plan.common.apps.some((app) => app.deployHook !== null)
  );
}

/** The row is written; that the queue store is away does not matter, for resync asks again. */
export async function askForRehearsal(context: Context, environmentId: string): Promise<void> {
  await context.enqueue('rehearse', environmentId).catch((error: unknown) => {
    context.log.warn({ environmentId, error }, 'rehearsal not queued; resync asks for it again');
  });
}
