import { stripVTControlCharacters } from 'node:util';

/** Zero width: between a sign and a name it parts them, and nobody sees it. */
const PARTED = '\u200b';

/** A sentence or two; what is longer belongs into the log. Without a bound one message would push the rest out. */
const TEXT_LENGTH_MAX = 1_000;

/**
 * Text from strangers (titles, log lines, messages) inside Markdown, on one line. GitHub looks for mentions and references
 * in the rendered text, where entities and backslashes are gone already (github/markup#1168); so those signs are parted
 * from what follows: nobody is notified because a build printed `@team`, nothing is linked because it printed `#1`.
 */
export function escapeMarkdown(text: string): string {
  return clip(text)
    .replace(/\s*[\r\n\u2028\u2029]+\s*/g, ' ')
    .replace(/(?!\t)\p{Cc}/gu, '')
    .replace(/[\\`*_{}[\]()#+!|~<>&$]/g, (character) => HTML_ENTITIES[character] ?? `\\${character}`)
    .replaceAll('@', `@${PARTED}`)
    .replace(/(https?):\/\//gi, '$1&#58;//')
    .replace(/\bGH-(?=\d)/gi, (sign) => `${sign}${PARTED}`);
}

/** A sentence of ours, which may quote strangers: what stands between single backticks is code, the rest is escaped. */
export function prose(text: string): string {
  return clip(text)
    .split(/(?<!`)`(?!`)([^`\r\n]+)(?<!`)`(?!`)/)
    .map((part, index) => (index % 2 === 1 ? code(part) : escapeMarkdown(part)))
    .join('');
}

function clip(text: string): string {
  if (text.length <= TEXT_LENGTH_MAX) return text;
  // Half of a character above U+FFFF is none.
  return `${text.slice(0, TEXT_LENGTH_MAX).replace(/[\ud800-\udbff]$/, '')}…`;
}

const HTML_ENTITIES: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '#': `&#35;${PARTED}`,
};

/** Inline code; a run of backticks inside makes a longer fence. */
export function code(text: string): string {
  const flat = text.replace(/\s+/g, ' ');
  const fence = '`'.repeat(longestRun(flat) + 1);
  const space = flat.startsWith('`') || flat.endsWith('`') ? ' ' : '';
  return `${fence}${space}${flat.replaceAll('|', '\\|')}${space}${fence}`;
}

/** A block of code that its content cannot end. Control characters (colours) are dropped. */
export function codeBlock(lines: readonly string[], language: 'text' | 'sh' | 'diff' = 'text'): string {
  const text = lines.map((line) => stripVTControlCharacters(line).replace(/(?!\t)\p{Cc}/gu, '')).join('\n');
  const fence = '`'.repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}${language}\n${text}\n${fence}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map((match) => match[0].length));
}
