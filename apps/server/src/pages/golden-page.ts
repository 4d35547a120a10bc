import {
  type DataReport,
  filesWords,
  type KeysReport,
  keysWords,
  type ServiceReport,
} from '@bough/domain/data-report';
import type { DataReportView } from '../data-report.ts';
import { type Html, html, page } from './html.ts';

/** What the comment's "sanitized and verified" leads to: how one may know. Pure. */
export function renderGoldenPage(view: DataReportView, project: string): string {
  const { goldenId, report, attestation, fault } = view;
  return page({
    title: `Golden ${goldenId} of ${project}`,
    body: html`
<h1>Golden snapshot ${goldenId} of ${project}</h1>
<p><span class="phase ${fault === null ? 'ready' : 'failed'}">${fault === null ? 'signature valid' : 'not valid'}</span>
${fault !== null && html`${fault}: it will not be cloned. Make a new one with <code>bough data refresh ${project}</code>.`}</p>
${report === null ? html`<p>It was made before Bough wrote reports; what was signed of it is below.</p>` : reportPart(report)}
<h2>Signature</h2>
<p class="muted">Ed25519 by key <code>${attestation.keyId}</code>${view.publicKey === null && ', which is none of this installation'}.
Check it where Bough does not run: <code>bough data report ${project} --golden ${goldenId} --json</code>, then
<code>bough data report --file &lt;it&gt; --key &lt;public key&gt;</code>.</p>
<details><summary>what is signed</summary><pre>${view.text}</pre></details>
<details><summary>signature and public key</summary><pre>${attestation.signature}

${view.publicKey}</pre></details>`,
  });
}

function reportPart(report: DataReport): Html {
  const { policy } = report;
  const rows: [string, string][] = [
    ['Captured', report.capturedAt],
    ['Why', report.why],
    ['Rules', policy.sanitize === 'none' ? 'RAW: `sanitize: none`' : policy.digest],
    ['Rules of commit', policy.commit],
    ['Production at', report.sourceCommit],
    ...Object.entries(report.sources ?? {}).map(([service, words]): [string, string] => [
      `Source of ${service}`,
      words,
    ]),
    ['Sanitizer, storage', `version ${policy.sanitizerVersion}, ${report.storage}`],
    ['Mounts kept', report.mounts.join(', ') || 'none'],
    ...Object.entries(report.files ?? {}).map(([volume, files]): [string, string] => [
      `Files of ${volume}`,
      filesWords(files),
    ]),
  ];
  return html`${table(rows)}
${Object.entries(report.keys ?? {}).map(([name, keys]) => keysPart(name, keys))}
${Object.entries(report.services).map(([name, service]) => servicePart(name, service))}`;
}

function keysPart(name: string, of: KeysReport): Html {
  const seen = Object.entries(of.detectors).map(([kind, count]) => `${kind} in ${count} names or values`);
  const rows: [string, string][] = [
    ['Program', `${of.engine.type}, version ${of.engine.version}, ${of.engine.digest}`],
    ['Keys', `${keysWords(of)}; ${of.scanned} in production`],
    ['Detectors', `nothing but ${seen.join(', ') || 'nothing'} where the rules allow it`],
    ['Left out', `${of.samples.taken} names and values looked for, ${of.samples.found} found`],
    ['Byte scan', `${of.byteScan.hits} hits in ${of.byteScan.files} files, ${of.byteScan.bytes} bytes`],
    ['Files', of.filesDigest],
  ];
  return html`
<h2>${name}</h2>
${table(rows)}
<details><summary>${of.patterns.length} patterns</summary>
${table(of.patterns.map(({ allow, keys }): [string, string] => [allow, `${keys} keys`]))}</details>`;
}

function servicePart(name: string, of: ServiceReport): Html {
  const { counts, canaries, samples, byteScan, scanned } = of;
  const seen = Object.entries(of.detectors)
    .filter(([, { allowedRows }]) => allowedRows > 0)
    .map(
      ([kind, { allowedColumns, allowedRows }]) =>
        `${kind} in ${allowedRows} rows of ${allowedColumns} columns`,
    );
  const rows: [string, string][] = [
    ['Program', `${of.engine.type}, version ${of.engine.version}, ${of.engine.digest}`],
    ['Schema', of.schemaDigest],
    ['Files', of.filesDigest],
    [
      'Masked',
      `${counts.columnsMasked} of ${counts.columns} columns, ${counts.tables} tables, ${counts.rows} rows`,
    ],
    ['References checked', String(counts.referencesChecked)],
    [
      'Canaries',
      `${canaries.planted} planted in ${canaries.columns} columns, ${canaries.found} found after masking; ${canaries.tablesWithout} tables could take none`,
    ],
    ['Values of production', `${samples.taken} looked for, ${samples.found} found`],
    [
      'Detectors',
      `${Object.keys(of.detectors).join(', ')}: nothing but ${seen.join(', ') || 'nothing'} where the rules allow it`,
    ],
    ['Columns read', `${scanned.columns} columns, ${scanned.rows} rows`],
    ['Byte scan', `${byteScan.hits} hits in ${byteScan.files} files, ${byteScan.bytes} bytes`],
  ];
  return html`
<h2>${name}</h2>
${table(rows)}
<details><summary>${of.decisions.length} decisions${of.decisionsLeftOut > 0 && ` of ${of.decisions.length + of.decisionsLeftOut}`}</summary>
${table(of.decisions.map(({ where, rule }): [string, string] => [where, rule]))}</details>`;
}

function table(rows: readonly (readonly [string, string])[]): Html {
  return html`<table><tbody>${rows.map(([name, value]) => html`<tr><td>${name}</td><td>${value}</td></tr>`)}</tbody></table>`;
}
