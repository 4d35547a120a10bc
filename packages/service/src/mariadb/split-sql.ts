import { countNewlines, refusedAt } from '../dump-text.ts';

/** A statement as the file has it, a character for each byte, and the line on which it begins. */
export interface SqlStatement {
  readonly bytes: string;
  readonly line: number;
}

/** A server takes no packet above 1 GB, ours none above what its `max_allowed_packet` says. */
const statementBytesMax = 256 * 1024 ** 2;
/** What a token needs to be seen whole; so much is left for the next chunk. */
const aheadBytes = 96;

/**
 * Cuts a dump as `mariadb-dump` and `mysqldump` write it into its statements, as their clients would, but is no client:
 * of a client's own commands only `delimiter` is known. A backslash outside of quotes is refused with its line; `source`
 * and `system` are words that the server does not know.
 */
export async function* splitMariadbSql(chunks: AsyncIterable<Buffer>): AsyncGenerator<SqlStatement> {
  const splitter = new Splitter();
  for await (const chunk of chunks) yield* splitter.read(chunk.toString('latin1'), false);
  yield* splitter.read('\n', true);
  splitter.refuseRest();
}

type Mode = 'sql' | 'comment' | 'line comment' | "'" | '"' | '`';

const sandboxMark = /^\/\*M?!999999\\- [^*\n]{0,60}\*\//;

class Splitter {
  #mode: Mode = 'sql';
  #rest = '';
  #line = 1;
  #parts: string[] = [];
  #size = 0;
  #startLine = 1;
  #delimiter = ';';
  #interesting = interestingWith(';');

  *read(chunk: string, isLast: boolean): Generator<SqlStatement> {
    const text = this.#rest + chunk;
    let at = 0;
    for (;;) {
      const step = this.#mode === 'sql' ? this.#sql(text, at, isLast) : this.#inside(text, at, this.#mode);
      this.#line += countNewlines(text, at, step.to);
      at = step.to;
      if (step.statement !== undefined) yield step.statement;
      if (step.wait) break;
    }
    this.#rest = text.slice(at);
  }

  refuseRest(): void {
    if (this.#mode === 'sql' && this.#rest.trim() === '' && this.#size === 0) return;
    throw refusedAt(
      this.#startLine,
      'the statement has no end',
      'The file seems to be cut off: copy it again, or dump anew.',
    );
  }

  #sql(text: string, at: number, isLast: boolean): Step {
    this.#interesting.lastIndex = at;
    const found = this.#interesting.exec(text);
    const sure = isLast ? text.length : Math.max(at, text.length - aheadBytes);
    if (found === null || found.index > sure) return this.#keep(text, at, sure, true);
    const [token] = found;
    const end = found.index + token.length;
    if (end > sure && !isLast) return this.#keep(text, at, found.index, true);
    if (token === this.#delimiter) return this.#finish(text, at, found.index, end);
    switch (token) {
      case "'":
      case '"':
      case '`':
        this.#mode = token;
        return this.#keep(text, at, end, false);
      case '\\':
        throw refusedAt(
          this.#line + countNewlines(text, at, found.index),
          `"${/^\\[^\s]?/.exec(text.slice(found.index))?.[0]}" is a command for a client, and a dump may hold none`,
          dumpHint,
        );
      case '/*':
        return this.#comment(text, at, found.index);
      case '#':
      case '--':
        this.#keep(text, at, found.index, false);
        this.#mode = 'line comment';
        return { to: end, wait: false };
      default:
        return this.#word(text, at, found.index, end);
    }
  }

  #comment(text: string, at: number, found: number): Step {
    // What servers run, from this version on: a statement, or part of one.
    const executable = sandboxMark.test(text.slice(found, found + aheadBytes))
      ? undefined
      : /^\/\*M?!/.exec(text.slice(found, found + 4))?.[0];
    if (executable !== undefined) return this.#keep(text, at, found + executable.length, false);
    this.#keep(text, at, found, false);
    // The newest dumps begin with it: clients are to leave commands alone from there on.
    const mark = sandboxMark.exec(text.slice(found, found + aheadBytes))?.[0];
    if (mark !== undefined) return { to: found + mark.length, wait: false };
    this.#mode = 'comment';
    return { to: found + 2, wait: false };
  }

  /** `delimiter ;;` on a line of its own, so that programs can have semicolons. */
  #word(text: string, at: number, found: number, end: number): Step {
    const lineEnd = text.indexOf('\n', end);
    if (this.#size > 0 || text.slice(at, found).trim() !== '' || lineEnd === -1)
      return this.#keep(text, at, end, false);
    const wanted = text.slice(end, lineEnd).trim();
    if (!/^[;$|/]{1,4}$/.test(wanted))
      throw refusedAt(
        this.#line + countNewlines(text, at, found),
        'a delimiter is of ; $ | and / only',
        dumpHint,
      );
    this.#delimiter = wanted;
    this.#interesting = interestingWith(wanted);
    return { to: lineEnd, wait: false };
  }

  #inside(text: string, at: number, mode: Exclude<Mode, 'sql'>): Step {
    if (mode === 'comment' || mode === 'line comment') {
      const [mark, length] = mode === 'comment' ? ['*/', 2] : ['\n', 0];
      const found = text.indexOf(mark, at);
      if (found === -1) return { to: Math.max(at, text.length - 1), wait: true };
      this.#mode = 'sql';
      // A comment stands between words.
      this.#parts.push(...(this.#size > 0 ? [' '] : []));
      return { to: found + length, wait: false };
    }
    const close = text.indexOf(mode, at);
    const backslash = mode === '`' ? -1 : text.indexOf('\\', at);
    if (backslash !== -1 && (close === -1 || backslash < close)) {
      if (backslash + 1 === text.length) return this.#keep(text, at, backslash, true);
      return this.#keep(text, at, backslash + 2, false);
    }
    if (close === -1) return this.#keep(text, at, text.length, true);
    this.#mode = 'sql';
    return this.#keep(text, at, close + 1, false);
  }

  #finish(text: string, at: number, found: number, end: number): Step {
    this.#keep(text, at, found, false);
    const bytes = this.#parts.join('').trim();
    const line = this.#startLine;
    this.#parts = [];
    this.#size = 0;
    return { to: end, wait: false, ...(bytes === '' ? {} : { statement: { bytes, line } }) };
  }

  /** Everything before `to` is part of the statement. */
  #keep(text: string, from: number, to: number, wait: boolean): Step {
    const part = text.slice(from, to);
    const shown = this.#size > 0 ? part : part.trimStart();
    if (shown === '') return { to, wait };
    if (this.#size === 0)
      this.#startLine = this.#line + countNewlines(text, from, from + part.length - shown.length);
    this.#size += shown.length;
    this.#parts.push(shown);
    if (this.#size > statementBytesMax)
      throw refusedAt(
        this.#startLine,
        `a statement is longer than ${statementBytesMax / 1024 ** 2} MiB`,
        'Dump with a smaller --net-buffer-length.',
      );
    return { to, wait };
  }
}

interface Step {
  /** Where the next step begins. */
  readonly to: number;
  /** Until there is more of the file. */
  readonly wait: boolean;
  readonly statement?: SqlStatement;
}

function interestingWith(delimiter: string): RegExp {
  const escaped = delimiter.replace(/[$|/]/g, '\\$&');
  return new RegExp(`${escaped}|['"\`\\\\#]|--(?=\\s)|/\\*|\\bdelimiter\\b`, 'gi');
}

const dumpHint = 'Dump with `mariadb-dump --single-transaction --hex-blob <database>`.';
