import type { RehearsalView } from '../api/rehearsals.ts';
import type { DeploymentDetail, EnvironmentView, RouteView, StepView } from '../api/schemas.ts';
import { type Html, html, page } from './html.ts';
import { rehearsalPart } from './rehearsal-part.ts';

export interface EnvironmentPage {
  readonly environment: EnvironmentView;
  readonly project: string;
  readonly routes: readonly RouteView[];
  readonly deployment: DeploymentDetail | null;
  /** The end of the log of each step that has one, by name. */
  readonly tails: ReadonlyMap<string, readonly string[]>;
  readonly rehearsal: RehearsalView | null;
  readonly now: Date;
}

const unfinished: ReadonlySet<string> = new Set(['queued', 'building', 'deploying', 'removing']);

/** The page that the comment links to: what happened, how long it took, and what to do. Pure. */
export function renderEnvironmentPage(given: EnvironmentPage): string {
  const { environment, project, routes, deployment } = given;
  const isMoving = unfinished.has(environment.phase);
  const { title, url } = environment.facts;
  return page({
    title: environment.slug,
    refreshSeconds: isMoving ? 3 : undefined,
    body: html`
<h1>${environment.slug}</h1>
<p class="muted">${project} · ${environment.subject}${title !== undefined && ` · ${title}`}
${url !== undefined && isWebUrl(url) && html` · <a href="${url}">on the forge</a>`}</p>
<p><span class="phase ${environment.phase}">${environment.phase}</span> ${reason(environment)}</p>
${routes.length > 0 && html`<ul>${routes.map(routeLine)}</ul>`}
${failure(environment)}
${deployment ? deploymentPart(deployment, given) : html`<p>No deployment yet.</p>`}
${given.rehearsal !== null && rehearsalPart(given.rehearsal)}
<p class="muted">Data: ${environment.data.state}${environment.data.note !== null && `, ${environment.data.note}`}.
${branchLine(environment)}Changed ${utc(environment.changedAt)}; this page was made ${utc(given.now.toISOString())}.</p>`,
  });
}

function branchLine({ branchOf, expiresAt, keptUntil }: EnvironmentView): string {
  if (branchOf === null || expiresAt === null) return '';
  const end = keptUntil !== null && keptUntil > expiresAt ? keptUntil : expiresAt;
  return `Branched of ${branchOf.from}, removed ${utc(end)}. `;
}

/** Facts come from the forge, and a link must not become a script. */
const isWebUrl = (url: string): boolean => /^https?:\/\//.test(url);

function reason({ heldReason, waitingReason, runningStep, retryAt }: EnvironmentView): string {
  const waits = waitingReason === null ? [] : [`waits: ${waitingReason}`];
  if (heldReason !== null) return [heldReason, ...waits].join('; what ran before ');
  if (waitingReason !== null) return waits.join('');
  if (runningStep !== null) return `step ${runningStep}`;
  return retryAt === null ? '' : `tried again at ${utc(retryAt)}`;
}

function routeLine({ url, access, state }: RouteView): Html {
  const closed =
    (access === 'basic' && html` <span class="muted">(password: <code>bough env show</code>)</span>`) ||
    (access === 'link' && html` <span class="muted">(by a link: <code>bough env url</code>)</span>`);
  return html`<li><a href="${url}">${url}</a> <span class="muted">${state}</span>${closed}</li>`;
}

function failure({ failure: failed }: EnvironmentView): Html | null {
  if (failed === null) return null;
  return html`
<h2>${failed.message}</h2>
${failed.hint !== null && html`<p>${failed.hint}</p>`}
${failed.tail.length > 0 && html`<pre>${failed.tail.join('\n')}</pre>`}
<p class="muted">${failed.code}</p>`;
}

function deploymentPart(deployment: DeploymentDetail, { environment, tails }: EnvironmentPage): Html {
  return html`
<h2>Deployment ${deployment.id} <span class="muted">${deployment.state}, ${seconds(deployment.durationMs)}</span></h2>
<p class="muted">Commit <code>${deployment.commit}</code></p>
<table><tbody>${deployment.steps.map((step) => stepRow(step, deployment, tails.get(step.name) ?? []))}</tbody></table>
${
  deployment.failure !== null &&
  environment.failure === null &&
  html`<p>${deployment.failure.message} ${deployment.failure.hint}</p>`
}`;
}

function stepRow(step: StepView, deployment: DeploymentDetail, tail: readonly string[]): Html {
  const log = `/api/v1/deployments/${deployment.id}/steps/${encodeURIComponent(step.name)}/log`;
  const isOpen = step.state === 'failed' || step.state === 'running';
  const lines =
    tail.length > 0 &&
    html`<details${isOpen && html` open`}><summary>last lines · <a href="${log}">whole log</a></summary>
<pre>${tail.join('\n')}</pre></details>`;
  return html`<tr><td><b>${step.name}</b> ${step.state}${step.note !== null && html` <span class="muted">${step.note}</span>`}
${lines}</td><td class="time">${seconds(step.durationMs)}</td></tr>`;
}

/** `2026-11-23T02:22:23.456Z` → `2026-11-23 02:22:23 UTC`. */
function utc(iso: string): string {
  return `${iso.slice(0, 19).replace('T', ' ')} UTC`;
}

function seconds(durationMs: number): string {
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  return `${Math.floor(durationMs / 60_000)} min ${Math.round((durationMs % 60_000) / 1000)} s`;
}
