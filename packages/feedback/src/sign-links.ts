import { linkTo, signAccess } from '@bough/domain/access-link';
import type { Secret } from '@bough/domain/secret';
import type { Project } from '@bough/store/projects';
import type { EnvironmentRoute } from '@bough/store/routes';
import type { FeedbackState } from './feedback-state.ts';
import { routeUrl } from './route-url.ts';

const DAY_MS = 86_400_000;
/** Each comment is written again so often, for its links alone; resync asks for that. */
const RENEWED_MS = 3 * DAY_MS;
/** What a link that was just about to be renewed is still good for. */
const LEFT_MS = 4 * DAY_MS;

/**
 * Links for those who can read the comment: only where that is not everybody. They change on certain days and not each time
 * somebody looks, or every look would be an edit; which days differs from environment to environment.
 */
export function signLinks(of: {
  readonly project: Pick<Project, 'private'>;
  readonly environmentId: string;
  readonly routes: readonly EnvironmentRoute[];
  readonly previewUrl: string;
  readonly linkKey: Secret;
  readonly now: Date;
}): FeedbackState['links'] {
  if (!of.project.private) return null;
  const { environmentId, previewUrl, linkKey } = of;
  const expireAt = endOf(of.now, environmentId);
  const urls = of.routes.flatMap((route): [string, string][] => {
    if (route.access.kind !== 'link' || route.redirect !== null) return [];
    const url = routeUrl(previewUrl, route);
    const scope = { environmentId, epoch: route.access.epoch };
    return [[url, linkTo(url, signAccess(linkKey, 'link', scope, expireAt))]];
  });
  return urls.length === 0 ? null : { urls: new Map(urls), expireAt };
}

function endOf(now: Date, environmentId: string): Date {
  const offset = ((Number(environmentId) * 7_919) % (RENEWED_MS / 60_000)) * 60_000;
  const renewals = Math.floor((now.getTime() + offset) / RENEWED_MS) + 1;
  return new Date(renewals * RENEWED_MS - offset + LEFT_MS);
}
