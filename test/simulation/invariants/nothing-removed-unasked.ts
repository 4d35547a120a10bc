import { policiesOf } from '../expectation.ts';
import type { Change, Invariant, Watched } from '../invariant.ts';
import { isReconcile } from '../process.ts';
import { LABEL } from '../world/forge-world.ts';
import { isCapture, isRehearsal } from './no-resurrection.ts';

/** Evidence that was read may be this old when it is acted upon. */
const STALE_MS = 180_000;

/**
 * An environment is asked away only because its pull request is, or just was, closed or without the label that the policy
 * wants, or because somebody with write access asked for it; and only an environment that is asked away loses its data.
 */
export function createNothingRemovedUnasked(): Invariant {
  return {
    name: 'nothing removed unasked',
    change({ what, before, after }: Change, watched) {
      if (what !== 'environments' || after === null) return undefined;
      if (after.desired_state !== 'absent' || before?.desired_state === 'absent') return undefined;
      const subject = String(after.subject);
      return isAskedAway(subject, watched)
        ? undefined
        : `${subject} is asked away, but it is open and nobody asked for that`;
    },
    async deed(deed, job, { environments }) {
      if (deed.verb !== 'remove' || isCapture(deed.labels) || isRehearsal(deed.labels)) return undefined;
      // What an environment makes and replaces of its own is its reconcile's affair, one environment at a time.
      if (isReconcile(job) && job.key === deed.labels.environmentId) return undefined;
      const row = environments.get(deed.labels.environmentId);
      if (row === undefined || row.removed_at !== null) return undefined;
      return `${job?.kind} removes ${deed.kind} ${deed.id} of an environment that lives (${row.desired_state})`;
    },
  };
}

function isAskedAway(subject: string, watched: Watched): boolean {
  const { forge, now } = watched;
  const pull = forge.pulls.get(Number(/^pull\/(\d+)$/.exec(subject)?.[1]));
  if (pull === undefined) return false;
  const wasClosed = pull.openSpans.some(
    ({ to }) => to !== null && (pull.state === 'closed' || now() - to < STALE_MS),
  );
  const isAsked = [...forge.comments.values()].some(
    ({ number, user, body }) =>
      number === pull.number && forge.permissions.get(user) === 'write' && body.startsWith('/bough delete'),
  );
  const isUnlabelled =
    policiesOf(watched).has('labelled') &&
    (!pull.labels.includes(LABEL) || now() - (pull.unlabelledAt ?? -STALE_MS) < STALE_MS);
  return wasClosed || isAsked || isUnlabelled;
}
