import type { FeedbackState } from './feedback-state.ts';

/** The page with the signed report of what data was cloned from. */
export function goldenUrl(state: Pick<FeedbackState, 'publicUrl'>, snapshotId: string): string {
  return `${state.publicUrl.replace(/\/+$/, '')}/goldens/${snapshotId}`;
}

/** The page that shows everything about an environment. */
export function detailsUrl(state: Pick<FeedbackState, 'publicUrl' | 'environment'>): string {
  return `${state.publicUrl.replace(/\/+$/, '')}/environments/${encodeURIComponent(state.environment.slug.replace(/~.*$/, ''))}`;
}
