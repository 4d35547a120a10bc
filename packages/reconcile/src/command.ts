/** What a comment asks Bough for. */
export interface ParsedCommand {
  readonly word: string;
  /** Everything behind the word; empty when there is nothing. */
  readonly argument: string;
}

/** A command is a few words; what is longer was meant for people. */
const LINE_LENGTH_MAX = 200;
const COMMAND = /^\/bough ([A-Za-z][A-Za-z-]{0,30})(?: ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?))?[ \t]*$/;

/**
 * The command of a comment, or undefined when it holds none. Pure. Only the first line that is not empty counts, and only
 * as a whole, from its first column: a quotation, a list, code and a sentence that mentions a command begin otherwise.
 */
export function parseCommand(body: string): ParsedCommand | undefined {
  const start = body.search(/[^ \t\r\n]/);
  if (start === -1) return undefined;
  // Markdown reads an indented line as code.
  if (start > 0 && !'\r\n'.includes(body.charAt(start - 1))) return undefined;
  const line = /^[^\r\n]*/.exec(body.slice(start, start + LINE_LENGTH_MAX + 1))?.[0] ?? '';
  if (line.length > LINE_LENGTH_MAX) return undefined;
  const [, word, argument = ''] = COMMAND.exec(line) ?? [];
  return word === undefined ? undefined : { word, argument };
}
