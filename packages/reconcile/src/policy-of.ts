import type { Context } from './context.ts';
import type { Locked } from './locked.ts';
import { mirrorOf, repositoryOf } from './observe.ts';
import { type Policy, readPolicyAt, recallPolicyAt } from './policy.ts';

/** The policy at the commit that the environment's row records; null where none is recorded. */
export async function policyOf(context: Context, of: Locked): Promise<Policy | null> {
  const { environment, project, lock } = of;
  if (environment.policyCommit === null) return null;
  const at = {
    mirror: mirrorOf(context, project),
    commit: environment.policyCommit,
    signal: lock.signal,
  };
  const known = recallPolicyAt(context, at);
  if (known !== undefined) return known;
  await context.forge(project.forge).fetch(repositoryOf(project), at);
  return await readPolicyAt(context, at);
}
