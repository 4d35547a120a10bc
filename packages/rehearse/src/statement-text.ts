const textLengthMax = 240;

/**
 * A statement as a report may show it: on one line, bounded, and without values, which may be somebody's. Numbers up to
 * four digits stay, for they are lengths and precisions.
 */
export function presentable(sql: string): string {
  const text = pieces(sql)
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
  for (const { kind, text } of pieces(sql)) {
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

interface Piece {
  readonly kind: 'code' | 'string' | 'comment';
  readonly text: string;
}

/** Strings (plain, escaped, dollar-quoted), comments, quoted names, semicolons, and what lies between them. */
const token =
  /(?<string>\b[eEuUbBxX]&?'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|\$(?<tag>[A-Za-z_]\w*)?\$[\s\S]*?(?:\$\k<tag>\$|$))|(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<code>"(?:[^"]|"")*(?:"|$)|;|[^'"$;\-/\w]+|\w+|[\s\S])/gy;

function pieces(sql: string): Piece[] {
  return [...sql.matchAll(token)].map((match) => {
    if (match.groups?.string !== undefined) return { kind: 'string', text: match[0] };
    if (match.groups?.comment !== undefined) return { kind: 'comment', text: match[0] };
    return { kind: 'code', text: match[0] };
  });
}
