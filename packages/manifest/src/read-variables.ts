import { described, isEmpty, type Located, plain } from './located.ts';
import type { Report } from './report.ts';
import { mapEntries } from './section.ts';

export interface Variables {
  readonly env: Readonly<Record<string, string>>;
  readonly other: Readonly<Record<string, unknown>>;
}

/** `variables.env` becomes real variables; the other prefixes are for PLATFORM_VARIABLES as `prefix:name`. */
export function readVariables(report: Report, node: Located | undefined, title: string): Variables {
  const env: [string, string][] = [];
  const other: [string, unknown][] = [];
  for (const prefix of mapEntries(report, node, `${title}: variables`)) {
    for (const entry of mapEntries(report, prefix.value, `${title}: variables.${prefix.key}`)) {
      if (prefix.key !== 'env') {
        other.push([`${prefix.key}:${entry.key}`, plain(entry.value)]);
        continue;
      }
      if (!/^[A-Za-z_][A-Za-z0-9_]{0,199}$/.test(entry.key)) {
        report.problem(
          entry.keyPlace,
          `${title}: "${entry.key}" cannot be the name of a variable.`,
          'Use letters, digits and "_", not starting with a digit.',
        );
        continue;
      }
      const reserved = reservedVariable(entry.key);
      if (reserved !== undefined) {
        report.note(
          entry.keyPlace,
          `${title}: variable "${entry.key}" is set by Bough; this value is not used.`,
          reserved,
        );
      }
      env.push([entry.key, valueText(entry.value)]);
    }
  }
  return { env: Object.fromEntries(env), other: Object.fromEntries(other) };
}

function reservedVariable(name: string): string | undefined {
  if (name === 'PORT') return 'Listen on $PORT: each process gets a free one.';
  if (/^(PLATFORM|BOUGH)_/.test(name)) return 'Choose a name without the prefix PLATFORM_ or BOUGH_.';
  return undefined;
}

/** Scalars as written (1.10 stays 1.10), the rest as JSON. */
function valueText(value: Located): string {
  if (isEmpty(value)) return '';
  if (value.kind !== 'scalar')
    return value.kind === 'include' ? described(value) : JSON.stringify(plain(value));
  return typeof value.value === 'string' ? value.value : value.source;
}
