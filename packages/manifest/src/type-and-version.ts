import type { Located } from './located.ts';
import type { Report } from './report.ts';
import { textOf } from './section.ts';

export interface TypeAndVersion {
  readonly type: string;
  readonly version: string;
}

/** Reads `postgresql:17`. Which types and versions can be had is the engine's to say, not the manifest's. */
export function readType(report: Report, node: Located | undefined, title: string): TypeAndVersion | null {
  const text = textOf(report, node, title);
  if (text === null || node === undefined) return null;
  const match = /^([a-z][a-z0-9-]{0,40}):(\d{1,5}(?:\.\d{1,5}){0,2})$/.exec(text);
  if (match?.[1] !== undefined && match[2] !== undefined) return { type: match[1], version: match[2] };
  const [name] = text.split(':');
  const named = /^[a-z][a-z0-9-]*$/.test(name ?? '');
  report.problem(
    node.place,
    `${title}: "${text.slice(0, 80)}" is not a type with a version.`,
    named && !text.includes(':')
      ? `Add a version, as in "${text}:${exampleVersion(text)}".`
      : 'Write a name, a colon and a version of numbers, as in "nodejs:22" or "postgresql:17".',
  );
  return null;
}

function exampleVersion(type: string): string {
  const examples: Readonly<Record<string, string>> = {
    nodejs: '22',
    postgresql: '17',
    redis: '7.2',
    mariadb: '11.8',
    php: '8.4',
    python: '3.13',
  };
  return examples[type] ?? '1';
}
