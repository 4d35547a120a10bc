import { type Change, type Invariant, labelsOf, type Watched } from '../invariant.ts';

/** Nothing of a fork is built or run but a commit that somebody with write access let in by its whole id. */
export function createOnlyApprovedCode(): Invariant {
  const commits = new Map<string, string>();
  return {
    name: 'only approved code',
    change({ what, after }: Change) {
      if (what === 'deployments' && after !== null) commits.set(String(after.id), String(after.commit));
      return undefined;
    },
    async deed(deed, _job, watched) {
      const { release, environmentId } = labelsOf(deed);
      if (deed.verb === 'remove' || deed.verb === 'stop' || release === undefined) return undefined;
      const number = numberOf(environmentId, watched);
      const pull = number === undefined ? undefined : watched.forge.pulls.get(number);
      if (pull === undefined || pull.headRepository === pull.repository) return undefined;
      const commit = commits.get(release);
      const isApproved = watched.forge.approvals.some(
        (approval) =>
          approval.number === number &&
          approval.commit === commit &&
          watched.forge.permissions.get(approval.user) === 'write',
      );
      return isApproved
        ? undefined
        : `${deed.verb} ${deed.id} of pull/${number}, a fork, at ${commit?.slice(0, 7)}, which nobody approved who may`;
    },
  };
}

function numberOf(environmentId: string, { environments }: Watched): number | undefined {
  const subject = String(environments.get(environmentId)?.subject ?? '');
  const [, number] = /^pull\/(\d+)$/.exec(subject) ?? [];
  return number === undefined ? undefined : Number(number);
}
