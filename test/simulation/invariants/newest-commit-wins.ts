import { environmentOf, expectationOf } from '../expectation.ts';
import type { Change, Invariant, Rest, RestEnvironment, Watched } from '../invariant.ts';
import { FAILURES } from '../world/commits.ts';
import { DEFAULT_BRANCH } from '../world/forge-world.ts';

/**
 * What serves is never replaced by a deployment of an earlier wish, but where it goes back to one that was verified; in
 * the end each open pull request runs its head, or says why that cannot be deployed.
 */
export function createNewestCommitWins(): Invariant {
  const deployments = new Map<unknown, { generation: unknown; state: unknown }>();
  return {
    name: 'newest commit wins',
    change({ what, before, after }: Change) {
      if (after === null) return undefined;
      if (what === 'deployments') {
        deployments.set(after.id, { generation: after.generation, state: after.state });
        return undefined;
      }
      const release = after.release_deployment_id;
      if (what !== 'environments' || release === null || release === before?.release_deployment_id)
        return undefined;
      const deployment = deployments.get(release);
      if (deployment?.generation === after.generation || deployment?.state === 'ready') return undefined;
      return `environment ${after.id} at generation ${after.generation} serves deployment ${release} of generation ${deployment?.generation}, which is ${deployment?.state}`;
    },
    async atRest(rest, watched) {
      for (const pull of watched.forge.pulls.values()) {
        const subject = `pull/${pull.number}`;
        const expected = await expectationOf(pull, watched);
        if (expected.kind === 'absent') continue;
        const row = environmentOf(rest.environments, subject);
        const isThere = row !== undefined && row.removedAt === null;
        if (expected.kind === 'unwanted') {
          if (isThere && row.heldReason === null)
            return `${subject} has a preview that the policy does not want`;
          continue;
        }
        if (expected.kind === 'either' && (!isThere || row.heldReason !== null)) continue;
        if (!isThere) return `${subject} is open and has no environment`;
        if (expected.kind === 'held') {
          if (row.heldReason === null) return `${subject} is of a fork and is not held`;
          continue;
        }
        const wrong = compare(rest, row, expected.commit, watched);
        if (wrong !== undefined) return `${subject} ${wrong}`;
      }
      const head = watched.forge.branches.get(DEFAULT_BRANCH);
      const production = environmentOf(rest.environments, 'production');
      const { rows } = await watched.watcher.query<{ production: string }>(
        'select production from projects where repository_id = 1',
      );
      if (rows[0]?.production !== 'managed') return undefined;
      if (head === undefined || production === undefined) return 'production has no environment';
      const wrong = compare(rest, production, head, watched);
      return wrong === undefined ? undefined : `production ${wrong}`;
    },
  };
}

function compare(
  rest: Rest,
  row: RestEnvironment,
  commit: string,
  { commits, size }: Watched,
): string | undefined {
  const { content } = commits.find(commit);
  const name = `${commit.slice(0, 7)} (${content})`;
  if (row.desiredCommit !== commit)
    return `should run ${name} and is to run ${row.desiredCommit?.slice(0, 7)}`;
  if (row.kind === 'preview' && row.desiredState === 'running' && size.memoryFor === 0) return waits(row);
  if (row.generation !== row.observedGeneration) return `is not done with ${name}`;
  const failure = FAILURES[content];
  if (row.heldReason !== null) return `at ${name} is held: ${row.heldReason}`;
  // What it runs when it wakes is what it is to run now; it may never have been tried.
  if (row.desiredState === 'asleep')
    return row.failureCode === null || row.failureCode === failure
      ? undefined
      : `sleeps at ${name} after ${row.failureCode}`;
  if (row.failureCode !== failure) return `at ${name} ended with ${row.failureCode} instead of ${failure}`;
  if (failure === null && row.releaseCommit !== commit)
    return `at ${name} serves ${row.releaseCommit?.slice(0, 7)}`;
  return runs(rest, row);
}

/** No machine is so small that there is a place for anybody. */
function waits({ waitingReason }: RestEnvironment): string | undefined {
  return waitingReason === null ? 'runs, or does not say that it waits, where there is no room' : undefined;
}

/** Exactly the release and the services run, and each address leads to the release. */
function runs(rest: Rest, row: RestEnvironment): string | undefined {
  const mine = rest.workloads.filter(
    ({ labels }) => labels.environmentId === row.id && labels.role !== 'capture',
  );
  const released = mine.filter(({ labels }) => labels.release !== undefined);
  const wanted = row.releaseDeploymentId === null ? 0 : 2;
  const running = released.filter(
    ({ labels, state }) => labels.release === row.releaseDeploymentId && state === 'running',
  );
  if (running.length !== wanted) return `runs ${running.length} of ${wanted} workloads of its release`;
  const stale = released.filter(({ labels }) => labels.release !== row.releaseDeploymentId);
  if (stale.length > 0) return `still runs ${stale.map(({ id }) => id).join(', ')}`;
  if (row.releaseDeploymentId === null) return undefined;
  const web = running.find(({ labels }) => labels.role === 'web');
  const lost = row.routes.find(
    ({ state, deployment, port }) =>
      state !== 'serving' || deployment !== row.releaseDeploymentId || port !== web?.address?.port,
  );
  if (row.routes.length === 0 || lost !== undefined)
    return `has a route that leads elsewhere: ${JSON.stringify(lost)}`;
  return undefined;
}
