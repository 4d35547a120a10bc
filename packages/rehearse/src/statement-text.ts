/** What is a string and what is a name in quotes differs. */
export type Dialect = 'postgresql' | 'mariadb';

const textLengthMax = 240;

/**
 * A statement as a report may show it: on one line, bounded, and without values, which may be somebody's. Numbers up to
 * four digits stay, for they are lengths and precisions.
 */
export function presentable(sql: string, dialect: Dialect = 'postgresql'): string {
  const text = pieces(sql, dialect)
    .map(({ kind, text: piece }) => {
      if (kind === 'comment') return ' ';
      if (kind === 'string') return "'…'";
      return piece.replace(/(?<![\w$.])\d{5,}(\.\d+)?/g, '…');
    })
    .join('')
    .replace(/\s+/g, ' ')
    .replace(/[\s;]+$/, '')
    .trim();
  return text.length <= textLengthMax ? text : `${text.slice(0, textLengthMax)}…`;
}

/** The commands of a text that was sent as one, without the empty ones. */
export function splitCommands(sql: string): string[] {
  const commands: string[] = [];
  let command = '';
  let hasWords = false;
  for (const { kind, text } of pieces(sql, 'postgresql')) {
    if (kind === 'code' && text === ';') {
      if (hasWords) commands.push(command);
      command = '';
      hasWords = false;
      continue;
    }
    command += text;
    hasWords ||= kind !== 'comment' && text.trim() !== '';
  }
  if (hasWords) commands.push(command);
  return commands;
}

/** The names in it, without their quotes; words of the language and numbers are among them. */
export function namesIn(sql: string, dialect: Dialect): Set<string> {
  const code = pieces(sql, dialect).filter(({ kind }) => kind === 'code');
  return new Set(code.map(({ text }) => text.replace(/^([`"])([\s\S]*)\1$/, '$2')));
}

interface Piece {
  readonly kind: 'code' | 'string' | 'comment';
  readonly text: string;
}

/** Strings (plain, escaped, dollar-quoted), comments, quoted names, semicolons, and what lies between them. */
const tokens: Readonly<Record<Dialect, RegExp>> = {
  postgresql:
    /(?<string>\b[eEuUbBxX]&?'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|\$(?<tag>[A-Za-z_]\w*)?\$[\s\S]*?(?:\$\k<tag>\$|$))|(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<code>"(?:[^"]|"")*(?:"|$)|;|[^'"$;\-/\w]+|\w+|[\s\S])/gy,
  mariadb:
    /(?<string>\b[nNxXbB]?'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|"(?:[^"\\]|\\[\s\S]|"")*(?:"|$))|(?<comment>--[^\n]*|#[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<code>`(?:[^`]|``)*(?:`|$)|;|[^`'"$;#\-/\w]+|\w+|[\s\S])/gy,
};

function pieces(sql: string, dialect: Dialect): Piece[] {
  return [...sql.matchAll(tokens[dialect])].map((match) => {
    if (match.groups?.string !== undefined) return { kind: 'string', text: match[0] };
    if (match.groups?.comment !== undefined) return { kind: 'comment', text: match[0] };
    return { kind: 'code', text: match[0] };
  });
}
