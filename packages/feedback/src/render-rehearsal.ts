import {
  type Measurement,
  type RehearsalCheck,
  RehearsalReport,
  type RehearsalVerdict,
  type RehearsedStatement,
} from '@bough/domain/rehearsal';
import { detailsUrl } from './details-url.ts';
import type { FeedbackState } from './feedback-state.ts';
import { code, prose } from './markdown.ts';
import { seconds } from './seconds.ts';

/** A comment is for a glance; all of it is in the report. */
const statementsShown = 12;
const namesShown = 8;
/** Shorter than this is no stall but the way of things. */
const feltMs = 10;

const signs: Readonly<Record<RehearsalVerdict, string>> = { pass: '✅', fail: '❌', 'not measured': '❔' };

/** The rehearsal's part of the comment; empty where there is none. Pure. */
export function renderRehearsal(state: FeedbackState): string {
  const { rehearsal } = state;
  if (rehearsal === null || rehearsal.state === 'aborted') return '';
  const title = '**Migration rehearsal**';
  if (rehearsal.state === 'queued') return `${title}: ⏳ waits for its turn`;
  if (rehearsal.state === 'running') return `${title}: ⏳ under way on a clone of production's data`;
  const parsed = RehearsalReport.safeParse(rehearsal.report);
  if (!parsed.success) return `${title}: ❔ its report cannot be read by this version of Bough`;
  const report = parsed.data;
  const link = `[report](${detailsUrl(state)}#rehearsal)`;
  const reused = rehearsal.reusedId === null ? '' : ', the same hook on the same data as before';
  const head = `${title}: ${signs[report.verdict]} ${verdictWords(report)}${reused} · ${link}`;
  return [
    head,
    report.reasons.map((reason) => `- ${prose(reason)}`).join('\n'),
    ...Object.values(report.services).map(renderMeasurement),
    report.verdict === 'not measured' ? '' : checks(report),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** What the verdict comes to, in a few words. */
export function verdictWords(report: RehearsalReport): string {
  if (report.verdict === 'fail') return 'failed';
  if (report.verdict === 'not measured') return 'not measured, which is not a pass';
  const services = Object.values(report.services);
  if (!services.some(({ pending }) => pending)) return 'nothing pending: the hook changes no schema';
  const longest = (kind: 'readStallMs' | 'writeStallMs') =>
    Math.max(0, ...services.map((service) => service[kind] ?? 0));
  const words = (ms: number) => (ms < feltMs ? 'not be felt' : `stop for ${seconds(ms)}`);
  const [reads, writes] = [words(longest('readStallMs')), words(longest('writeStallMs'))];
  return reads === writes
    ? `passed: by reads and writes it would ${reads.replace(/^stop/, 'be felt')}`
    : `passed: reads would ${reads}, writes would ${writes}`;
}

function renderMeasurement(measurement: Measurement): string {
  if (measurement.statements.length === 0) return '';
  const shown = measurement.statements.slice(0, statementsShown);
  const rows = shown.map(
    (statement) =>
      `| ${[
        code(statement.text),
        seconds(statement.durationMs),
        stall(statement.readStallMs),
        stall(statement.writeStallMs),
        statement.rewrites.length > 0 ? `⚠️ ${statement.rewrites.map(code).join(', ')}` : 'no',
        lock(statement),
        statement.rows === null ? '' : statement.rows.toLocaleString('en'),
        statement.walBytes === null ? '' : bytes(statement.walBytes),
      ].join(' | ')} |`,
  );
  const more = measurement.statements.length - shown.length + measurement.statementsLeftOut;
  return [
    '| statement | took | reads stop | writes stop | rewrite | lock | rows | written |',
    '| --- | ---: | ---: | ---: | --- | --- | ---: | ---: |',
    ...rows,
    ...(more > 0 ? ['', `and ${more} more, which changed less`] : []),
    ...schemaLines(measurement),
  ].join('\n');
}

function schemaLines({ schema }: Measurement): string[] {
  const names = [
    ...schema.added.map((what) => `+ ${what}`),
    ...schema.changed.map(({ what, before, after }) => `~ ${what}: ${before} → ${after}`),
    ...schema.removed.map((what) => `- ${what}`),
  ];
  if (names.length === 0) return [];
  const more = names.length - namesShown + schema.leftOut;
  return [
    '',
    `Schema: ${names.slice(0, namesShown).map(code).join(', ')}${more > 0 ? ` and ${more} more` : ''}`,
  ];
}

function checks(report: RehearsalReport): string {
  const words: readonly [string, RehearsalCheck][] = [
    ['the previous release on the new schema', report.previous],
    ['the hook run twice', report.again],
  ];
  const line = words.map(([name, { verdict, note }]) => {
    const why = verdict === 'pass' ? '' : `: ${prose(note)}`;
    return `${signs[verdict]} ${name}${why}`;
  });
  return `${line.join(' · ')} · stalls of ${seconds(report.stallBudgetMs)} are allowed`;
}

function stall(ms: number | null): string {
  if (ms === null) return '?';
  return ms < feltMs ? 'no' : seconds(ms);
}

function lock({ lock: held }: RehearsedStatement): string {
  return held === null ? '' : `${held.mode} on ${code(held.table)}, ${seconds(held.heldMs)}`;
}

function bytes(count: number): string {
  if (count < 1_000_000) return `${Math.ceil(count / 1_000)} kB`;
  return count < 1_000_000_000 ? `${Math.round(count / 1e6)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}
