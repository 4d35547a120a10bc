import type { FeedbackState } from './feedback-state.ts';

/** The page that shows everything about an environment. */
export function detailsUrl(state: Pick<FeedbackState, 'publicUrl' | 'environment'>): string {
  return `${state.publicUrl.replace(/\/+$/, '')}/environments/${encodeURIComponent(state.environment.slug.replace(/~.*$/, ''))}`;
}
