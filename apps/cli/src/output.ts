import { inspect, styleText } from 'node:util';
import { BoughError } from '@bough/domain/bough-error';
import Table from 'cli-table3';

/** Where a verb writes: tables for people, `--json` for scripts. */
export interface Output {
  readonly json: boolean;
  /** The verb's result: as JSON, or as `people` writes it. */
  result(value: unknown, people: () => string): void;
  line(text: string): void;
}

export function createOutput(options: { json: boolean; write: (text: string) => void }): Output {
  return {
    json: options.json,
    result: (value, people) => options.write(`${options.json ? JSON.stringify(value, null, 2) : people()}\n`),
    line: (text) => options.write(`${text}\n`),
  };
}

/** A table without lines: it can be read, cut and grepped. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = new Table({
    head: head.map((text) => styleText('bold', text)),
    chars: {
      ...{
        top: '',
        'top-mid': '',
        'top-left': '',
        'top-right': '',
        bottom: '',
        'bottom-mid': '',
        'bottom-left': '',
      },
      ...{
        'bottom-right': '',
        left: '',
        'left-mid': '',
        mid: '',
        'mid-mid': '',
        right: '',
        'right-mid': '',
        middle: '  ',
      },
    },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  lines.push(...rows.map((row) => [...row]));
  return lines.toString();
}

/** How a verb ends: 0 fine, 1 it could not be done, 2 it was called wrongly, 3 what was looked at is not well. */
export const EXIT = { fine: 0, failed: 1, usage: 2, unwell: 3 } as const;

export function describeError(error: unknown): string {
  if (!(error instanceof BoughError))
    return `${styleText('red', 'bough failed unexpectedly:')} ${inspect(error)}`;
  const lines = [`${styleText('red', 'error:')} ${error.message}`];
  if (error.hint !== undefined && error.hint !== '')
    lines.push(`${styleText('cyan', 'next:')}  ${error.hint}`);
  for (const line of error.tail) lines.push(`  ${line}`);
  return lines.join('\n');
}

export function age(iso: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

export function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
