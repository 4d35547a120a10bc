import { described, isEmpty, type Located, type LocatedEntry } from './located.ts';
import type { Place } from './manifest.ts';
import type { Report } from './report.ts';
import { meant } from './suggest.ts';

/** A map whose keys are known: the rest of it has been reported. */
export interface Section {
  readonly place: Place;
  /** Undefined when absent or empty. */
  get(key: string): Located | undefined;
  has(key: string): boolean;
  /** Where the key is written; the section's own place when it is absent. */
  placeOf(key: string): Place;
}

/**
 * Opens a map. `acted` are keys that are read, `noted` those that are understood but not acted on yet, each with what
 * that means for the author. Any other key is a problem with a suggestion.
 */
export function openSection(
  report: Report,
  node: Located | undefined,
  options: {
    readonly title: string;
    readonly acted: readonly string[];
    readonly noted?: Readonly<Record<string, string>>;
    readonly fallback: Place;
  },
): Section {
  const noted = options.noted ?? {};
  const known = [...options.acted, ...Object.keys(noted)];
  const entries = new Map<string, LocatedEntry>();
  for (const entry of mapEntries(report, node, options.title)) {
    if (!known.includes(entry.key)) {
      report.problem(
        entry.keyPlace,
        `${options.title}: unknown key "${entry.key}".`,
        meant(entry.key, known),
      );
      continue;
    }
    const meaning = noted[entry.key];
    if (meaning !== undefined && !isEmpty(entry.value)) {
      report.note(entry.keyPlace, `${options.title}: "${entry.key}" is not acted on yet.`, meaning);
    }
    entries.set(entry.key, entry);
  }
  return {
    place: node?.place ?? options.fallback,
    get: (key) => {
      const value = entries.get(key)?.value;
      return isEmpty(value) ? undefined : value;
    },
    has: (key) => entries.has(key),
    placeOf: (key) => entries.get(key)?.keyPlace ?? node?.place ?? options.fallback,
  };
}

/** The entries of a map; none when it is absent or empty; a problem when it is something else. */
export function mapEntries(
  report: Report,
  node: Located | undefined,
  title: string,
): readonly LocatedEntry[] {
  if (node === undefined || isEmpty(node)) return [];
  if (node.kind === 'map') return node.entries;
  report.problem(
    node.place,
    `${title} must be a map, not ${described(node)}.`,
    'Write "key: value" lines below it.',
  );
  return [];
}

/** A whole number within bounds, or null (reported unless absent). */
export function integerOf(
  report: Report,
  node: Located | undefined,
  title: string,
  { least, most }: { least: number; most: number },
): number | null {
  if (node === undefined || isEmpty(node)) return null;
  const value = node.kind === 'scalar' ? node.value : null;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  const problem = `${title} must be a whole number from ${least} to ${most}, not ${shown(node)}.`;
  report.problem(node.place, problem, 'Write digits, without quotes.');
  return null;
}

/** As it is written, where that is one word. */
export const shown = (node: Located): string =>
  node.kind === 'scalar' ? `"${node.source}"` : described(node);

/** Text, or null (reported unless absent). Numbers and true/false are refused where a wrong guess would do harm. */
export function textOf(report: Report, node: Located | undefined, title: string): string | null {
  if (node === undefined || isEmpty(node)) return null;
  if (node.kind === 'scalar' && typeof node.value === 'string') return node.value;
  const quoted = node.kind === 'scalar' ? `Put it in quotes: "${node.source}".` : 'Write one text there.';
  report.problem(node.place, `${title} must be text, not ${described(node)}.`, quoted);
  return null;
}

export function booleanOf(
  report: Report,
  node: Located | undefined,
  title: string,
  absent: boolean,
): boolean {
  if (node === undefined || isEmpty(node)) return absent;
  if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
  report.problem(
    node.place,
    `${title} must be true or false, not ${described(node)}.`,
    'Write true or false, without quotes.',
  );
  return absent;
}
