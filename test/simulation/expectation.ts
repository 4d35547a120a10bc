import type { RestEnvironment, Watched } from './invariant.ts';
import { REPOSITORY_ID, type SimPull } from './world/forge-world.ts';

/** What should be in the end, from what is true on the forge: computed apart from the code under test. */
export type Expectation =
  | { readonly kind: 'absent' }
  | { readonly kind: 'held' }
  | { readonly kind: 'deployed'; readonly commit: string };

export function expectationOf(pull: SimPull, lasting: string | null): Expectation {
  if (pull.state === 'closed' || lasting === 'delete') return { kind: 'absent' };
  if (pull.headRepository !== REPOSITORY_ID) return { kind: 'held' };
  return { kind: 'deployed', commit: pull.head };
}

/** The living environment of a pull request, or the last one that it had. */
export function environmentOf(
  environments: readonly RestEnvironment[],
  subject: string,
): RestEnvironment | undefined {
  const all = environments.filter((row) => row.subject === subject);
  return all.find(({ removedAt }) => removedAt === null) ?? all.at(-1);
}

/** The last request that lasts for a subject, as the store has it: a lost webhook takes a command with it. */
export async function lastingRequest(watched: Watched, subject: string): Promise<string | null> {
  const { rows } = await watched.watcher.query<{ kind: string }>(
    `select kind from requests where subject = $1 and kind in ('open', 'delete', 'redeploy', 'rebuild') order by id desc limit 1`,
    [subject],
  );
  return rows[0]?.kind ?? null;
}
