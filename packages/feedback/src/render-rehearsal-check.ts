import { RehearsalReport } from '@bough/domain/rehearsal';
import type { Rehearsal } from '@bough/store/rehearsals';
import { detailsUrl } from './details-url.ts';
import type { FeedbackState } from './feedback-state.ts';
import type { CheckContent } from './render-check.ts';
import { renderRehearsal, verdictWords } from './render-rehearsal.ts';

type Said = Pick<CheckContent, 'state' | 'title' | 'summary'>;

/** `state` null: there is no rehearsal to speak of. */
export type RehearsalCheckContent =
  | CheckContent
  | (Pick<CheckContent, 'name' | 'detailsUrl'> & { readonly state: null; readonly commit: null });

/**
 * A check of its own: it comes after the preview is ready, has its own verdict, and can be required by itself. What was
 * not measured asks for a person, for a neutral check counts as passed where it is required. Pure.
 */
export function renderRehearsalCheck(state: FeedbackState): RehearsalCheckContent {
  const about = { name: 'bough / rehearsal', detailsUrl: `${detailsUrl(state)}#rehearsal` };
  const [newest] = state.deployments;
  if (state.rehearsal === null || newest === undefined) return { ...about, state: null, commit: null };
  return { ...about, commit: newest.commit, annotations: [], ...said(state, state.rehearsal) };
}

function said(state: FeedbackState, rehearsal: Rehearsal): Said {
  switch (rehearsal.state) {
    case 'queued':
      return { state: 'queued', title: 'Waits for its turn', summary: '' };
    case 'running':
      return { state: 'in_progress', title: "Under way on a clone of production's data", summary: '' };
    case 'aborted':
      return { state: 'cancelled', title: 'Something newer was wanted', summary: '' };
    case 'done':
      return done(state, rehearsal);
  }
}

function done(state: FeedbackState, { verdict, report }: Rehearsal): Said {
  const parsed = RehearsalReport.safeParse(report);
  const [reason] = parsed.success ? parsed.data.reasons : [];
  const because = reason === undefined ? '' : `: ${reason}`;
  const summary = renderRehearsal(state);
  switch (verdict) {
    case 'pass':
      return {
        state: 'success',
        title: parsed.success ? sentence(verdictWords(parsed.data)) : 'Passed',
        summary,
      };
    case 'fail':
      return { state: 'failure', title: `Failed${because}`, summary };
    default:
      return { state: 'action_required', title: `Not measured${because}`, summary };
  }
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
