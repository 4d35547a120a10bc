import { isEmpty, type Located } from './located.ts';
import type { DataPolicy, Place, PreviewPolicy } from './manifest.ts';
import { readSanitizePolicy } from './read-sanitize-policy.ts';
import type { Report } from './report.ts';
import { openSection, textOf } from './section.ts';
import { meant } from './suggest.ts';

export function readPreviews(report: Report, node: Located | undefined): PreviewPolicy {
  const fallback: Place = node?.place ?? { file: '', line: 1, column: 1 };
  const previews = openSection(report, node, { title: 'previews', acted: ['access'], fallback });
  const access = textOf(report, previews.get('access'), 'previews: access');
  if (access === null || access === 'open' || access === 'basic') return { access };
  report.problem(
    previews.get('access')?.place ?? fallback,
    `previews: access cannot be "${access}".`,
    `${meant(access, ['open', 'basic'])} "open" lets anybody in, "basic" asks for a generated password.`,
  );
  return { access: null };
}

const sanitizeHint =
  'Write rules below "sanitize:" (docs/data.md), "sanitize: none" to clone raw data, or remove "data:".';

/** Nothing but the words `sanitize: none` opens production's raw data to previews; rules open what they make of it. */
export function readData(report: Report, node: Located | undefined): DataPolicy | null {
  if (node === undefined || isEmpty(node)) return null;
  const data = openSection(report, node, { title: 'data', acted: ['sanitize'], fallback: node.place });
  const sanitize = data.get('sanitize');
  if (sanitize === undefined) {
    report.problem(node.place, 'data: does not say how to sanitize.', sanitizeHint);
    return null;
  }
  if (sanitize.kind === 'scalar' && sanitize.value === 'none') return { sanitize: 'none' };
  if (sanitize.kind === 'map') return { sanitize: readSanitizePolicy(report, sanitize) };
  report.problem(sanitize.place, 'data: sanitize must be rules, or the word none.', sanitizeHint);
  return null;
}
