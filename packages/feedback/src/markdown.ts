import { stripVTControlCharacters } from 'node:util';

/**
 * Text from strangers (titles, log lines, messages) inside Markdown. GitHub renders HTML, mentions and references too,
 * so those lose their meaning as well: nobody is notified because a build printed `@team`.
 */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/\r?\n/g, ' ')
    .replace(/[\\`*_{}[\]()#+!|~<>&$]/g, (character) => HTML_ENTITIES[character] ?? `\\${character}`)
    .replaceAll('@', '&#64;')
    .replace(/(https?):\/\//g, '$1&#58;//')
    .replace(/\bGH-(?=\d)/g, 'GH&#45;');
}

const HTML_ENTITIES: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '#': '&#35;',
};

/** Inline code; a run of backticks inside makes a longer fence. */
export function code(text: string): string {
  const flat = text.replace(/\s+/g, ' ');
  const fence = '`'.repeat(longestRun(flat) + 1);
  const space = flat.startsWith('`') || flat.endsWith('`') ? ' ' : '';
  return `${fence}${space}${flat.replaceAll('|', '\\|')}${space}${fence}`;
}

/** A block of code that its content cannot end. Control characters (colours) are dropped. */
export function codeBlock(lines: readonly string[]): string {
  const text = lines.map((line) => stripVTControlCharacters(line).replace(/(?!\t)\p{Cc}/gu, '')).join('\n');
  const fence = '`'.repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}text\n${text}\n${fence}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map((match) => match[0].length));
}
