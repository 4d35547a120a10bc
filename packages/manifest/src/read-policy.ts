import { isEmpty, type Located } from './located.ts';
import type { DataPolicy } from './manifest.ts';
import { readDataSource } from './read-data-source.ts';
import { readRehearsal } from './read-rehearsal.ts';
import { readSanitizePolicy } from './read-sanitize-policy.ts';
import type { DeclaredApps } from './read-seed-source.ts';
import { parseRefreshSchedule, type RefreshSchedule } from './refresh-schedule.ts';
import type { Report } from './report.ts';
import { openSection, type Section, textOf } from './section.ts';

const sanitizeHint =
  'Write rules below "sanitize:" (docs/data.md), "sanitize: none" to clone raw data, or remove "data:".';

/** Nothing but the words `sanitize: none` opens production's raw data to previews; rules open what they make of it. */
export function readData(report: Report, node: Located | undefined, apps: DeclaredApps): DataPolicy | null {
  if (node === undefined || isEmpty(node)) return null;
  const data = openSection(report, node, {
    title: 'data',
    acted: ['sanitize', 'refresh', 'keep', 'rehearsal', 'source'],
    fallback: node.place,
  });
  const sanitize = readSanitize(report, data);
  const life = {
    refresh: readRefresh(report, data),
    keep: readKeep(report, data),
    rehearsal: readRehearsal(report, data.get('rehearsal'), node.place),
    source: readDataSource(report, data.get('source'), apps),
  };
  return sanitize === null ? null : { sanitize, ...life };
}

function readSanitize(report: Report, data: Section): DataPolicy['sanitize'] | null {
  const sanitize = data.get('sanitize');
  if (sanitize === undefined) {
    report.problem(data.place, 'data: does not say how to sanitize.', sanitizeHint);
    return null;
  }
  if (sanitize.kind === 'scalar' && sanitize.value === 'none') return 'none';
  if (sanitize.kind === 'map') return readSanitizePolicy(report, sanitize);
  report.problem(sanitize.place, 'data: sanitize must be rules, or the word none.', sanitizeHint);
  return null;
}

function readRefresh(report: Report, data: Section): RefreshSchedule | null {
  const written = textOf(report, data.get('refresh'), 'data: refresh');
  if (written === null) return null;
  const schedule = parseRefreshSchedule(written);
  if (typeof schedule !== 'string') return schedule;
  report.problem(
    data.get('refresh')?.place ?? data.place,
    `data: refresh: "${written}" ${schedule}.`,
    'Write how often ("6h", "1d", "1w") or when in UTC ("0 3 * * *": each night at three).',
  );
  return null;
}

const goldensKept = 2;
const goldensMax = 50;

function readKeep(report: Report, data: Section): number {
  const keep = data.get('keep');
  if (keep === undefined) return goldensKept;
  const count = keep.kind === 'scalar' ? keep.value : undefined;
  if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= goldensMax) return count;
  report.problem(
    keep.place,
    `data: keep must be a number from 1 to ${goldensMax}.`,
    'It is how many golden snapshots stay, beside those that a preview was made from.',
  );
  return goldensKept;
}
