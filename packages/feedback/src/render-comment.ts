import type { Phase } from '@bough/domain/environment';
import type { EnvironmentRoute } from '@bough/store/routes';
import type { Step } from '@bough/store/steps';
import { detailsUrl, goldenUrl } from './details-url.ts';
import type { FeedbackState } from './feedback-state.ts';
import { heldWords } from './held-words.ts';
import { code, codeBlock, escapeMarkdown, prose } from './markdown.ts';
import { renderRehearsal } from './render-rehearsal.ts';
import { renderReview } from './render-review.ts';
import { routeUrl } from './route-url.ts';
import { seconds } from './seconds.ts';

/** GitHub's limit is 65,536 characters; a comment that long helps nobody. */
const COMMENT_LENGTH_MAX = 30_000;

/** The hidden first line by which the comment is found again when its id is lost. Names the installation: two never share one. */
export function commentMarker(state: Pick<FeedbackState, 'installationId' | 'environment'>): string {
  return `<!-- bough ${state.installationId} ${state.environment.subject} -->`;
}

/** The one comment of a pull request. Pure: equal states give equal text, so an unchanged state writes nothing. */
export function renderComment(state: FeedbackState): string {
  const parts = [
    commentMarker(state),
    `### ${headline(state)}`,
    explanation(state),
    facts(state),
    state.phase === 'held' && state.review !== null ? renderReview(state.review) : '',
    failure(state),
    rehearsal(state),
    steps(state),
    answer(state),
    `<sub>${[`Last change ${utc(state.environment.changedAt)}`, `[log and details](${detailsUrl(state)})`, 'Bough'].join(' · ')}</sub>`,
  ];
  return parts
    .filter((part) => part !== '')
    .join('\n\n')
    .slice(0, COMMENT_LENGTH_MAX);
}

function rehearsal(state: FeedbackState): string {
  return state.phase === 'removed' || state.phase === 'removing' ? '' : renderRehearsal(state);
}

const SIGNS: Readonly<Record<Phase, string>> = {
  held: '✋',
  queued: '⏳',
  building: '🔨',
  deploying: '🚀',
  ready: '✅',
  asleep: '💤',
  failed: '❌',
  removing: '🧹',
  removed: '🍂',
};

export function headline(state: FeedbackState): string {
  return `${SIGNS[state.phase]} Preview ${phaseWords(state)}`;
}

function phaseWords(state: FeedbackState): string {
  const { phase, environment } = state;
  const commit = environment.desiredCommit?.slice(0, 7) ?? '';
  switch (phase) {
    case 'held':
      return 'is held';
    case 'queued':
      return `of ${code(commit)} is queued`;
    case 'building':
      return `of ${code(commit)} is being built`;
    case 'deploying':
      return `of ${code(commit)} is being deployed`;
    case 'ready':
      return 'is ready';
    case 'asleep':
      return 'is asleep';
    case 'failed':
      return servesEarlier(state)
        ? `of ${code(commit)} failed; an earlier commit keeps serving`
        : `of ${code(commit)} failed`;
    case 'removing':
      return 'is being removed';
    case 'removed':
      return 'is removed';
  }
}

function explanation(state: FeedbackState): string {
  const { environment, phase } = state;
  if (phase === 'held') return heldWords(environment);
  if (phase === 'removed') {
    const anew = state.isDeleted
      ? 'Comment `/bough deploy` to get a new one.'
      : 'Reopen the pull request to get a new one.';
    return `Its processes, data, addresses and logs are gone. ${anew}`;
  }
  if (phase === 'asleep') {
    const reason = environment.sleepReason === null ? '' : `, because ${prose(environment.sleepReason)}`;
    const seen = environment.lastRequestAt === null ? '' : ` Last visit ${utc(environment.lastRequestAt)}.`;
    return `Nothing of it runs${reason}. Its data is kept; a visit wakes it, and so does \`/bough wake\`.${seen}`;
  }
  if (environment.waitingReason !== null) return `Waiting: ${prose(environment.waitingReason)}.`;
  return '';
}

function servesEarlier(state: FeedbackState): boolean {
  const { releaseDeploymentId } = state.environment;
  return releaseDeploymentId !== null && releaseDeploymentId !== state.deployments[0]?.id;
}

function facts(state: FeedbackState): string {
  if (state.phase === 'removed' || state.phase === 'held') return '';
  const release = state.deployments.find(
    (deployment) => deployment.id === state.environment.releaseDeploymentId,
  );
  const rows: [string, string][] = [];
  const serving = state.routes.filter((route) => route.redirect === null);
  if (release !== undefined && serving.length > 0) {
    rows.push([
      serving.length === 1 ? 'Preview' : 'Previews',
      serving.map((route) => address(state, route)).join('<br>'),
    ]);
    rows.push(['Commit', `${code(release.commit.slice(0, 7))}${elapsed(state, release)}`]);
  }
  const access = serving[0]?.access;
  if (access?.kind === 'basic') {
    rows.push([
      'Access',
      `password, user ${code(access.username)}: ${code(`bough env show ${state.environment.slug}`)} shows it`,
    ]);
  }
  if (access?.kind === 'link') rows.push(['Access', linkWords(state)]);
  if (state.environment.dataState !== 'undecided') rows.push(['Data', dataWords(state)]);
  if (rows.length === 0) return '';
  return ['| | |', '| --- | --- |', ...rows.map(([name, value]) => `| **${name}** | ${value} |`)].join('\n');
}

/** The signature is long, and nobody reads it: the address is shown without. */
function address({ previewUrl, links }: FeedbackState, route: EnvironmentRoute): string {
  const url = routeUrl(previewUrl, route);
  const link = links?.urls.get(url);
  return link === undefined ? `**<${url}>**` : `**[${url}](<${link}>)**`;
}

function linkWords({ links, environment }: FeedbackState): string {
  const anew = code(`bough env url ${environment.slug}`);
  if (links === null)
    return `by a signed link, which does not stand where anybody can read it: ${anew} makes one`;
  return `by the link above, for whoever has it, until ${utc(links.expireAt)}; it is renewed here before that, and ${anew} makes others`;
}

function elapsed(state: FeedbackState, release: FeedbackState['deployments'][number]): string {
  if (release.finishedAt === null || release.id !== state.deployments[0]?.id) return '';
  const built =
    state.artifacts.length > 0 && state.artifacts.every((artifact) => artifact.cached)
      ? ', nothing to build'
      : '';
  return `, ready in ${seconds(release.finishedAt.getTime() - release.startedAt.getTime())}${built}`;
}

function dataWords(state: FeedbackState): string {
  const note = prose(state.environment.dataNote ?? state.environment.dataState);
  if (state.data === null) return `${note}${failingWords(state)}`;
  const captured = state.data.capturedAt === null ? '' : `, as of ${utc(state.data.capturedAt)}`;
  const isRaw = state.data.sanitize === 'none';
  return `${note}${captured} · ${isRaw ? '⚠️ **raw production data** (`sanitize: none`)' : provedWords(state)}${newsWords(state)}${failingWords(state)}`;
}

function provedWords(state: FeedbackState): string {
  const { dataSnapshotId } = state.environment;
  return dataSnapshotId === null
    ? 'sanitized and verified'
    : `[sanitized and verified](${goldenUrl(state, dataSnapshotId)})`;
}

/** Times, not ages: a comment that says "3 hours old" would have to be written again each hour. */
function newsWords({ data, newestDataAt: newest, newestDataWhy }: FeedbackState): string {
  const isNewer = newest !== null && data?.capturedAt && newest > data.capturedAt;
  const why = newestDataWhy === null ? '' : `, captured because ${prose(newestDataWhy)}`;
  return isNewer ? ` · data of ${utc(newest)} is there${why}: \`/bough sync\`` : '';
}

/** One whose data never came has the reason in its note already. */
function failingWords({ noNewerData, environment }: FeedbackState): string {
  if (noNewerData === null || environment.dataState === 'own') return '';
  const { since, message, hint } = noNewerData;
  const isSaid = environment.dataNote?.includes(message) === true;
  const why = isSaid ? '' : `: ${prose(message)}${hint === null ? '' : ` ${prose(hint)}`}`;
  return `<br>⚠️ production’s data could not be captured since ${utc(since)}${why}`;
}

function failure(state: FeedbackState): string {
  const found = state.environment.failure;
  if (found === null || state.phase === 'removed' || state.phase === 'removing') return '';
  const { retryAt } = state.environment;
  const parts = [`**${prose(found.message)}**`];
  if (found.hint !== null) parts.push(prose(found.hint));
  if (retryAt !== null) parts.push(`Bough tries again at ${utc(retryAt)}.`);
  if (found.tail.length > 0) parts.push(codeBlock(found.tail.slice(-20).map((line) => line.slice(0, 400))));
  return parts.join('\n\n');
}

function steps(state: FeedbackState): string {
  if (state.steps.length === 0 || state.phase === 'removed' || state.phase === 'removing') return '';
  const rows = state.steps.map(
    (step) =>
      `| ${STEP_SIGNS[step.state]} | ${prose(step.name)} | ${duration(step)} | ${prose(step.note ?? '')} |`,
  );
  const open = state.phase === 'ready' ? '' : ' open';
  const commit = state.deployments[0]?.commit.slice(0, 7) ?? '';
  return [
    `<details${open}><summary>Steps of ${commit}</summary>`,
    '',
    '| | step | took | |',
    '| --- | --- | ---: | --- |',
    ...rows,
    '',
    '</details>',
  ].join('\n');
}

/** What somebody asked for in a comment: answered here, because a comment of its own would notify everybody. */
function answer(state: FeedbackState): string {
  if (state.asked === null) return '';
  const { askedBy, askedAt, command } = state.asked;
  const lines = state.asked.answer.split('\n').map((line) => {
    const [, bullet = '', text = ''] = /^(- )?(.*)$/.exec(line) ?? [];
    return `${bullet}${prose(text)}`;
  });
  return [`**${escapeMarkdown(askedBy)}** asked for ${code(command)} at ${utc(askedAt)}:`, '', ...lines]
    .map((line) => `> ${line}`.trimEnd())
    .join('\n');
}

const STEP_SIGNS: Readonly<Record<Step['state'], string>> = {
  running: '⏳',
  done: '✅',
  cached: '♻️',
  skipped: '➖',
  failed: '❌',
  aborted: '⏹️',
};

/** A running step shows no duration: the comment would change every second. */
function duration(step: Step): string {
  if (step.finishedAt === null) return '';
  return seconds(step.finishedAt.getTime() - step.startedAt.getTime());
}

export function utc(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
