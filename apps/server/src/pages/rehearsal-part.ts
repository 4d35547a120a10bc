import type { Measurement, RehearsalCheck } from '@bough/domain/rehearsal';
import type { RehearsalView } from '../api/rehearsals.ts';
import { type Html, html } from './html.ts';

const statementsShown = 60;

/** What the comment's link `#rehearsal` leads to: all statements and tables, and the report as data. Pure. */
export function rehearsalPart(rehearsal: RehearsalView): Html {
  const { report } = rehearsal;
  const path = `/api/v1/deployments/${rehearsal.deploymentId}/rehearsal`;
  return html`
<h2 id="rehearsal">Migration rehearsal <span class="muted">${rehearsal.verdict ?? rehearsal.state}</span></h2>
${
  report !== null &&
  html`${report.reasons.length > 0 && html`<ul>${report.reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`}
${report.tail.length > 0 && html`<pre>${report.tail.join('\n')}</pre>`}
${Object.entries(report.services).map(([name, measured]) => servicePart(name, measured))}
<ul>${checkLine('the hook', report.hook)}${checkLine('the hook run twice', report.again)}${checkLine('the previous release', report.previous)}</ul>
<p class="muted">Stalls of ${report.stallBudgetMs} ms are allowed. Measured on this machine, not on production's.</p>`
}
<p class="muted"><a href="${path}">report</a> · <a href="${path}/log">log</a></p>`;
}

function servicePart(name: string, measured: Measurement): Html {
  return html`
<p><b>${name}</b> <span class="muted">${measured.durationMs} ms, ${measured.walBytes} bytes written</span></p>
<table><thead><tr><th>statement</th><th>took</th><th>reads stop</th><th>writes stop</th><th>lock</th></tr></thead><tbody>
${measured.statements.slice(0, statementsShown).map(
  ({ text, durationMs, readStallMs, writeStallMs, lock, rewrites }) =>
    html`<tr><td><code>${text}</code>${rewrites.length > 0 && html` rewrites ${rewrites.join(', ')}`}</td>
<td class="time">${durationMs} ms</td><td class="time">${readStallMs ?? '?'}</td><td class="time">${writeStallMs ?? '?'}</td>
<td>${lock !== null && `${lock.mode} on ${lock.table}, ${lock.heldMs} ms`}</td></tr>`,
)}</tbody></table>
<table><thead><tr><th>table</th><th>rows</th><th>reads stop</th><th>writes stop</th><th>the server says</th></tr></thead><tbody>
${measured.tables.map(
  ({ table, rows, readStallMs, writeStallMs, serverWaitMs }) =>
    html`<tr><td><code>${table}</code></td><td class="time">${rows}</td><td class="time">${readStallMs ?? '?'}</td>
<td class="time">${writeStallMs ?? '?'}</td><td class="time">${serverWaitMs ?? ''}</td></tr>`,
)}</tbody></table>`;
}

function checkLine(name: string, { verdict, note }: RehearsalCheck): Html {
  return html`<li>${name}: ${verdict}${note !== '' && `, ${note}`}</li>`;
}
