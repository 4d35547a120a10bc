import { canonicalDigest } from '@bough/manifest/canonical-json';
import { readManifest } from '@bough/manifest/read-manifest';
import type { RestEnvironment, Watched } from './invariant.ts';
import { isLimited } from './world/capacity.ts';
import { type PolicyName, policies, policyOf } from './world/commits.ts';
import { DEFAULT_BRANCH, LABEL, type SimPull } from './world/forge-world.ts';

/** What should be in the end, from what is true on the forge: computed apart from the code under test. */
export type Expectation =
  | { readonly kind: 'absent' }
  | { readonly kind: 'held' }
  /** The policy wants none: nothing of it runs, held or not there. */
  | { readonly kind: 'unwanted' }
  /** The policy was another one meanwhile, and what is there stays. */
  | { readonly kind: 'either'; readonly commit: string }
  | { readonly kind: 'deployed'; readonly commit: string };

export async function expectationOf(pull: SimPull, watched: Watched): Promise<Expectation> {
  const lasting = await lastingRequest(watched, `pull/${pull.number}`);
  if (pull.state === 'closed' || lasting === 'delete') return { kind: 'absent' };
  const { head: commit } = pull;
  const policies = policiesOf(watched);
  const isUnwanted = lasting === null && policies.has('labelled') && !pull.labels.includes(LABEL);
  if (isUnwanted) return policies.size > 1 ? { kind: 'either', commit } : { kind: 'unwanted' };
  if (pull.headRepository !== pull.repository && !(await isApproved(pull, watched))) return { kind: 'held' };
  return { kind: 'deployed', commit };
}

/** All that the default branch ever said. */
export function policiesOf({ forge, commits }: Watched): ReadonlySet<PolicyName> {
  return new Set(forge.mainCommits.map((commit) => policyOf(commits.find(commit))));
}

/** Whether the newest approval of exactly this commit was given under the policy of now. */
async function isApproved(pull: SimPull, { watcher, forge, commits }: Watched): Promise<boolean> {
  const { rows } = await watcher.query<{ digest: string }>(
    'select policy_digest as digest from approvals where subject = $1 and commit = $2 order by id desc limit 1',
    [`pull/${pull.number}`, pull.head],
  );
  const main = forge.branches.get(DEFAULT_BRANCH);
  const now = main === undefined ? 'plain' : policyOf(commits.find(main));
  return rows[0] !== undefined && rows[0].digest === digestOf(now);
}

const digests = new Map<PolicyName, string>();

function digestOf(policy: PolicyName): string {
  const known = digests.get(policy);
  if (known !== undefined) return known;
  const app = 'applications: { a: { type: "nodejs:22", web: { commands: { start: a } } } }\n';
  const read = readManifest({ '.bough/config.yaml': `${app}${policies[policy]}` });
  if (read.kind !== 'manifest') throw new Error(`the policy "${policy}" does not read`);
  const digest = canonicalDigest(read.manifest.previews);
  digests.set(policy, digest);
  return digest;
}

/** Whether anything may have put it to sleep: its policy, or somebody who may. */
export function maySleep(pull: SimPull, row: RestEnvironment, watched: Watched): boolean {
  if (isLimited(watched.size) && row.sleepReason?.endsWith('needed the room') === true) return true;
  const policies = policiesOf(watched);
  if (policies.has('idle') || policies.has('lazy')) return true;
  return [...watched.forge.comments.values()].some(
    ({ number, user, body }) =>
      number === pull.number && watched.forge.permissions.get(user) === 'write' && body === '/bough sleep',
  );
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
async function lastingRequest(watched: Watched, subject: string): Promise<string | null> {
  const { rows } = await watched.watcher.query<{ kind: string }>(
    `select kind from requests where subject = $1 and kind in ('open', 'delete', 'redeploy', 'rebuild') order by id desc limit 1`,
    [subject],
  );
  return rows[0]?.kind ?? null;
}
