import { combinedState, latestStatuses } from '../present/report.ts';
import type { CheckRun, Comment, Deployment, Pull, Repository, Status } from '../state.ts';
import { fullName, userOf, type World } from '../world.ts';
import { type Fragment, html, Markup } from './html.ts';
import { isWebAddress, renderMarkdown } from './render-markdown.ts';

/** What changes by itself: the pull request, its comments, and what was reported on its head commit. */
export function pullPage(world: World, repository: Repository, pull: Pull): Markup {
  const comments = repository.comments.filter((comment) => comment.issue === pull.number);
  const runs = new Map(
    repository.checkRuns.filter((run) => run.headSha === pull.headSha).map((run) => [run.name, run]),
  );
  const deployments = repository.deployments.filter((one) => belongs(one, pull)).reverse();
  return html`
<h1>${pull.title} <span class="dim">#${pull.number}</span></h1>
<p>${stateOf(pull)} <b>${pull.user}</b> wants to merge <code>${pull.headOwner}:${pull.headRef}</code> into
<code>${pull.baseRef}</code> <span class="dim mono">${pull.headSha.slice(0, 10)}</span>
${pull.labels.map((label) => html`<span class="label">${label}</span>`)}</p>
${commentBox(world, { user: pull.user, createdAt: pull.createdAt, body: pull.body ?? '*No description.*', id: 0 })}
${comments.map((comment) => commentBox(world, comment))}
${checksBox(repository, pull, [...runs.values()], latestStatuses(repository, pull.headSha))}
${deployments.length > 0 && html`<h2>Deployments</h2><div class="box"><ul class="rows">${deployments.slice(0, 20).map(deploymentRow)}</ul></div>`}
<h2>Decide</h2>
${decisions(repository, pull)}`;
}

function belongs(deployment: Deployment, pull: Pull): boolean {
  return (
    deployment.ref === pull.headRef ||
    deployment.sha === pull.headSha ||
    deployment.sha === pull.mergeCommitSha
  );
}

export function stateOf(pull: Pull): Markup {
  const state = pull.mergedAt ? 'merged' : pull.state === 'closed' ? 'closed' : pull.draft ? 'draft' : 'open';
  return html`<span class="pill ${state}">${state[0]?.toUpperCase()}${state.slice(1)}</span>`;
}

function commentBox(
  world: World,
  comment: Pick<Comment, 'user' | 'body' | 'createdAt' | 'id'> & {
    updatedAt?: string;
    reactions?: Comment['reactions'];
  },
): Markup {
  const edited = comment.updatedAt !== undefined && comment.updatedAt !== comment.createdAt;
  return html`<article class="box" id="issuecomment-${comment.id}">
<header><img src="/_sandbox/avatars/${userOf(world, comment.user).id}.svg" alt=""><b>${comment.user}</b>
<time datetime="${comment.createdAt}">${timeOf(comment.createdAt)}</time>${edited && ' · edited'}
${(comment.reactions ?? []).map((reaction) => html`<span class="label">${reaction.content}</span>`)}</header>
<div class="body">${new Markup(renderMarkdown(comment.body))}</div></article>`;
}

/** `2026-11-23T02:22:23Z` → `2026-11-23 02:22 UTC`. */
function timeOf(iso: string): string {
  return `${iso.slice(0, 16).replace('T', ' ')} UTC`;
}

function checksBox(repository: Repository, pull: Pull, runs: CheckRun[], statuses: Status[]): Fragment {
  if (runs.length + statuses.length === 0) return null;
  const summary =
    statuses.length > 0 ? html` <span class="dim">(statuses: ${combinedState(statuses)})</span>` : null;
  return html`<h2>Checks${summary}</h2><div class="box"><ul class="rows">
${runs.map((run) => checkRow(repository, pull, run))}
${statuses.map(
  (status) => html`<li><span class="dot ${status.state}"></span><b>${status.context}</b>
<span class="dim">${status.description ?? status.state}</span> ${link(status.targetUrl, 'Details')}</li>`,
)}
</ul></div>`;
}

function checkRow(repository: Repository, pull: Pull, run: CheckRun): Markup {
  const { output } = run;
  const text = [output.summary, output.text].filter(Boolean).join('\n\n');
  return html`<li><span class="dot ${run.conclusion ?? run.status}"></span><b>${run.name}</b>
<span class="dim">${run.conclusion ?? run.status}${output.title && ` · ${output.title}`}</span> ${link(run.detailsUrl, 'Details')}
${
  (text || output.annotations.length > 0) &&
  html`<details><summary class="dim">Output</summary><div class="body">
${new Markup(renderMarkdown(text))}
${output.annotations.map((note) => html`<blockquote><b>${note.annotation_level}</b> <code>${note.path}:${note.start_line}</code> ${note.title} ${note.message}</blockquote>`)}
</div></details>`
}
<div class="actions">${run.actions.map((action) => button('requestCheckAction', action.label, repository, pull, { checkRun: run.id, identifier: action.identifier, user: repository.owner }))}</div></li>`;
}

function deploymentRow(deployment: Deployment): Markup {
  const last = deployment.statuses.at(-1);
  const state = last?.state ?? 'pending';
  return html`<li><span class="dot ${state}"></span><b>${deployment.environment}</b>
<span class="dim">${state} · <code>${deployment.sha.slice(0, 10)}</code> ${last?.description}</span>
${state !== 'inactive' && link(last?.environmentUrl, 'View deployment')} ${link(last?.logUrl, 'Log')}</li>`;
}

function link(address: string | null | undefined, text: string): Fragment {
  return address && isWebAddress(address) ? html`<a href="${address}" rel="noreferrer">${text}</a>` : null;
}

function decisions(repository: Repository, pull: Pull): Markup {
  if (pull.mergedAt)
    return html`<p class="dim">Merged by ${pull.mergedBy} as <code>${pull.mergeCommitSha?.slice(0, 10)}</code>.</p>`;
  if (pull.state === 'closed')
    return html`<div class="actions">${button('reopenPullRequest', 'Reopen', repository, pull, {})}</div>`;
  const conflict = pull.mergeCommitSha === null;
  return html`<div class="actions">
${button('mergePullRequest', pull.draft ? 'Draft' : conflict ? 'Conflicts' : 'Merge pull request', repository, pull, { deleteBranch: 'true' }, { go: true, off: conflict || pull.draft })}
${pull.draft && button('readyForReview', 'Ready for review', repository, pull, {})}
${button('closePullRequest', 'Close', repository, pull, {})}</div>`;
}

function button(
  command: string,
  text: string,
  repository: Repository,
  pull: Pull,
  more: Record<string, string | number>,
  look: { go?: boolean; off?: boolean } = {},
): Markup {
  const back = `/${fullName(repository)}/pull/${pull.number}`;
  // A check's action is not about the pull request, so it has no number.
  const fields = {
    repo: fullName(repository),
    ...(command === 'requestCheckAction' ? {} : { number: pull.number }),
    back,
    ...more,
  };
  return html`<form method="post" action="/_sandbox/forms/${command}">
${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<button class="${look.go && 'go'}"${look.off && new Markup(' disabled')}>${text}</button></form>`;
}

/** Outside the part that refreshes, so that it keeps what is being typed. */
export function commentForm(repository: Repository, pull: Pull): Markup {
  const back = `/${fullName(repository)}/pull/${pull.number}`;
  return html`<h2>Comment as ${repository.owner}</h2>
<form method="post" action="/_sandbox/forms/comment">
<input type="hidden" name="repo" value="${fullName(repository)}"><input type="hidden" name="number" value="${pull.number}">
<input type="hidden" name="back" value="${back}"><input type="hidden" name="user" value="${repository.owner}">
<textarea name="body" required maxlength="65536" aria-label="Comment" placeholder="Leave a comment"></textarea>
<p class="actions"><button>Comment</button></p></form>`;
}
