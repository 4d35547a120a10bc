import type { Located } from './located.ts';
import type { Place, RehearsalPolicy } from './manifest.ts';
import type { Report } from './report.ts';
import { booleanOf, openSection, textOf } from './section.ts';

/** What a visitor forgives: a page that takes two seconds is slow, not broken. */
const stallBudgetMs = 2_000;
const longestMs = 600_000;
const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** `rehearsal: { enabled: true, stall_budget: 2s }`; on unless switched off. */
export function readRehearsal(report: Report, node: Located | undefined, fallback: Place): RehearsalPolicy {
  const section = openSection(report, node, {
    title: 'data: rehearsal',
    acted: ['enabled', 'stall_budget'],
    fallback,
  });
  const enabled = booleanOf(report, section.get('enabled'), 'data: rehearsal: enabled', true);
  const text = textOf(report, section.get('stall_budget'), 'data: rehearsal: stall_budget');
  if (text === null) return { enabled, stallBudgetMs };
  const [, number = '', unit = ''] = /^(\d{1,6}(?:\.\d{1,3})?)\s?(ms|s|m)$/.exec(text) ?? [];
  const wanted = Math.round(Number(number) * (unitsMs[unit] ?? 0));
  if (wanted > 0 && wanted <= longestMs) return { enabled, stallBudgetMs: wanted };
  report.problem(
    section.get('stall_budget')?.place ?? fallback,
    `data: rehearsal: stall_budget cannot be "${text}".`,
    'Write a time of at most ten minutes with its unit, such as 500ms, 2s or 1m.',
  );
  return { enabled, stallBudgetMs };
}
