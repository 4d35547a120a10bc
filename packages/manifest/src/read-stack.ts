import { described, type Located } from './located.ts';
import type { Report } from './report.ts';
import { openSection } from './section.ts';

/**
 * The toolchains that a composable stack asks for, runtimes first: `["nodejs@22", "hugo"]` becomes
 * `["nodejs:22", "hugo"]`. Null when there is no stack. The older flat list reads like `packages` with runtimes in it.
 */
export function readStack(report: Report, node: Located | undefined, title: string): string[] | null {
  if (node === undefined) return null;
  if (node.kind === 'list') return node.items.flatMap((item) => readItem(report, item, title));
  const stack = openSection(report, node, {
    title: `${title}: stack`,
    acted: ['runtimes', 'packages'],
    fallback: node.place,
  });
  return ['runtimes', 'packages'].flatMap((key) => {
    const list = stack.get(key);
    if (list === undefined) return [];
    if (list.kind === 'list') return list.items.flatMap((item) => readItem(report, item, title));
    report.problem(
      list.place,
      `${title}: stack.${key} must be a list, not ${described(list)}.`,
      'Write one "- name" line for each.',
    );
    return [];
  });
}

function readItem(report: Report, item: Located, title: string): string[] {
  const name = itemName(item);
  if (name !== undefined) return [name.replace('@', ':')];
  report.problem(
    item.place,
    `${title}: ${described(item)} in the stack is not understood.`,
    'Write "name@version" or "name".',
  );
  return [];
}

/** `hugo`, `"php@8.4": { extensions: … }` or `{ package: hugo, channel: unstable }`. */
function itemName(item: Located): string | undefined {
  if (item.kind === 'scalar') return typeof item.value === 'string' ? item.value : undefined;
  if (item.kind !== 'map') return undefined;
  const named = item.entries.find((entry) => entry.key === 'package')?.value;
  if (named?.kind === 'scalar' && typeof named.value === 'string') return named.value;
  return item.entries[0]?.key;
}
