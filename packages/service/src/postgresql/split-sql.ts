import { countNewlines, refusedAt } from '../dump-text.ts';

/**
 * One thing of a dump in SQL. A `copy` is followed by its `rows`, as many chunks as it takes, and one `copied`. `line` is
 * the file's, of where the statement begins.
 */
export type SqlPart =
  | { readonly kind: 'statement' | 'copy'; readonly text: string; readonly line: number }
  | { readonly kind: 'rows'; readonly bytes: Buffer }
  | { readonly kind: 'copied' };

/** A dump's longest statement is one row of `--inserts`; a server takes no more than 1 GB. */
const statementBytesMax = 256 * 1024 ** 2;
/** A word, a dollar quote's tag or a line of psql that goes on beyond a chunk is waited for up to here. */
const tokenBytesMax = 4096;

/**
 * Cuts a dump as `pg_dump` writes it in plain SQL into its statements and rows, as psql would, but is no psql: a line for
 * psql itself (`\!`, `\connect`, `\copy`, …) is refused with its number, so that nothing in the file is a command. Only
 * `\restrict` and `\unrestrict`, with which newer versions of pg_dump frame their output, are passed over. Comments are
 * left out. The server does the rest: it is spoken to as a user who is nobody.
 */
export async function* splitSql(chunks: AsyncIterable<Buffer>): AsyncGenerator<SqlPart> {
  const splitter = new Splitter();
  for await (const chunk of chunks) yield* splitter.read(chunk);
  yield* splitter.end();
}

type Mode =
  | { readonly in: 'sql' }
  | { readonly in: 'quote'; readonly mark: "'" | '"'; readonly escapes: boolean }
  | { readonly in: 'dollar'; readonly tag: string }
  | { readonly in: 'comment'; depth: number }
  | { readonly in: 'line comment' }
  /** What stands behind `from stdin;` on its line. */
  | { readonly in: 'copy head' }
  | { readonly in: 'rows' };

const plain: Mode = { in: 'sql' };
const interesting = /['"$\\;()]|--|\/\*|[-/]$|[A-Za-z_\x80-\xff][\w$\x80-\xff]*/g;

/** Bytes are scanned as Latin-1, one character each, because everything that counts here is ASCII. */
class Splitter {
  #mode: Mode = plain;
  #rest: Buffer = Buffer.alloc(0);
  #line = 1;
  #parts: string[] = [];
  #size = 0;
  #startLine = 1;
  #parens = 0;
  #words: string[] = [];
  #blocks = 0;
  #afterE = false;
  #isLineStart = true;

  *read(chunk: Buffer): Generator<SqlPart> {
    const buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const text = buffer.toString('latin1');
    let at = 0;
    for (;;) {
      const next: Step = this.#step(buffer, text, at);
      if (next.part !== undefined) yield next.part;
      if (next.to === at && next.wait) break;
      this.#countLines(buffer, at, next.to);
      at = next.to;
      if (next.wait) break;
    }
    this.#rest = buffer.subarray(at);
  }

  *end(): Generator<SqlPart> {
    // A last newline ends what was waiting for more: a word, a comment, the last line of rows.
    yield* this.read(Buffer.from('\n'));
    const isWhole = this.#mode.in === 'sql' && this.#rest.length === 0 && this.#text().trim() === '';
    if (isWhole) return;
    throw refusedAt(
      this.#startLine,
      this.#mode.in === 'rows' ? 'the rows have no end' : 'the statement has no end',
      'The file seems to be cut off: copy it again, or dump anew.',
    );
  }

  #step(buffer: Buffer, text: string, at: number): Step {
    switch (this.#mode.in) {
      case 'sql':
        return this.#sql(text, at);
      case 'quote':
        return this.#quote(text, at, this.#mode);
      case 'dollar': {
        const found = text.indexOf(this.#mode.tag, at);
        if (found === -1) return this.#keep(text, at, Math.max(at, text.length - this.#mode.tag.length));
        const end = found + this.#mode.tag.length;
        this.#mode = plain;
        return this.#take(text, at, end);
      }
      case 'comment':
        return this.#comment(text, at, this.#mode);
      case 'line comment': {
        const found = text.indexOf('\n', at);
        if (found !== -1) this.#mode = plain;
        return found === -1 ? { to: text.length, wait: true } : { to: found, wait: false };
      }
      case 'copy head': {
        const found = text.indexOf('\n', at);
        if (found === -1) return { to: at, wait: true };
        if (text.slice(at, found).trim() !== '')
          throw refusedAt(this.#line, 'something stands behind "from stdin;"', dumpHint);
        this.#mode = { in: 'rows' };
        this.#isLineStart = true;
        return { to: found + 1, wait: false };
      }
      case 'rows':
        return this.#rows(buffer, text, at);
    }
  }

  #sql(text: string, at: number): Step {
    interesting.lastIndex = at;
    const found = interesting.exec(text);
    if (found === null) return this.#keep(text, at, text.length);
    const [token] = found;
    const end = found.index + token.length;
    // It may go on in the next chunk.
    if (end === text.length && /^[-/$\w\x80-\xff]/.test(token) && token.length < tokenBytesMax)
      return this.#keep(text, at, found.index);
    if (token.startsWith('--') || token === '/*') {
      this.#add(`${text.slice(at, found.index)} `);
      this.#afterE = false;
      this.#mode = token === '/*' ? { in: 'comment', depth: 1 } : { in: 'line comment' };
      return { to: end, wait: false };
    }
    switch (token) {
      case "'":
      case '"': {
        const escapes = token === "'" && this.#afterE && found.index === at;
        this.#mode = { in: 'quote', mark: token, escapes };
        this.#afterE = false;
        return this.#take(text, at, end);
      }
      case '$':
        return this.#dollar(text, at, found.index);
      case '\\':
        return this.#backslash(text, at, found.index);
      case '(':
      case ')':
        this.#parens = Math.max(0, this.#parens + (token === '(' ? 1 : -1));
        return this.#take(text, at, end);
      case ';':
        return this.#semicolon(text, at, end);
      default: {
        const step = this.#take(text, at, end);
        this.#word(token);
        return step;
      }
    }
  }

  #quote(text: string, at: number, { mark, escapes }: Extract<Mode, { in: 'quote' }>): Step {
    const found = nextOf(text, at, mark, escapes);
    if (found === -1) return this.#keep(text, at, text.length);
    // Two marks are one in the text, a backslash takes the one behind it along: both need the next character.
    if (escapes && found + 1 === text.length) return this.#keep(text, at, found);
    if (escapes && (text[found] === '\\' || text[found + 1] === mark)) return this.#take(text, at, found + 2);
    this.#mode = plain;
    return this.#take(text, at, found + 1);
  }

  #dollar(text: string, at: number, found: number): Step {
    const tag = /^\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]{0,100})?\$/.exec(text.slice(found, found + 104))?.[0];
    if (tag !== undefined) {
      this.#mode = { in: 'dollar', tag };
      return this.#take(text, at, found + tag.length);
    }
    if (text.length - found < 104 && /^\$[\w\x80-\xff]*$/.test(text.slice(found)))
      return this.#keep(text, at, found);
    return this.#take(text, at, found + 1);
  }

  #comment(text: string, at: number, mode: Extract<Mode, { in: 'comment' }>): Step {
    const mark = /\/\*|\*\//g;
    mark.lastIndex = at;
    const found = mark.exec(text);
    if (found === null) return { to: Math.max(at, text.length - 1), wait: true };
    mode.depth += found[0] === '/*' ? 1 : -1;
    if (mode.depth === 0) this.#mode = plain;
    return { to: found.index + 2, wait: false };
  }

  #backslash(text: string, at: number, found: number): Step {
    const line = this.#line + countNewlines(text, at, found);
    const end = text.indexOf('\n', found);
    if (end === -1 && text.length - found < tokenBytesMax) return this.#keep(text, at, found);
    const command = text.slice(found, end === -1 ? found + 100 : end);
    const isFrame = /^\\(?:un)?restrict [A-Za-z0-9]+\s*$/.test(command);
    if (isFrame && this.#text().trim() === '' && text.slice(at, found).trim() === '')
      return { to: end, wait: false };
    const shown = /^\\[A-Za-z!?;.]*/.exec(command)?.[0].slice(0, 20);
    const hint = /^\\c/.test(command) ? `Dump one database, without --create. ${dumpHint}` : dumpHint;
    throw refusedAt(line, `"${shown}" is a command for psql, and a dump may hold none`, hint);
  }

  #semicolon(text: string, at: number, end: number): Step {
    if (this.#parens > 0 || this.#blocks > 0) return this.#take(text, at, end);
    this.#add(text.slice(at, end - 1));
    const statement = decode(this.#text(), this.#startLine).trim();
    const line = this.#startLine;
    const isCopy = this.#words[0] === 'copy' && /\bfrom\s+stdin\b/i.test(statement);
    this.#forget();
    if (isCopy) this.#mode = { in: 'copy head' };
    if (statement === '') return { to: end, wait: false };
    return { to: end, wait: false, part: { kind: isCopy ? 'copy' : 'statement', text: statement, line } };
  }

  /** `create function … begin atomic … end` has semicolons of its own. */
  #word(token: string): void {
    const word = token.toLowerCase();
    this.#afterE = word === 'e';
    if (this.#words.length < 4) this.#words.push(word);
    const [first, second, third, fourth] = this.#words;
    const made = second === 'or' && third === 'replace' ? fourth : second;
    if (first !== 'create' || (made !== 'function' && made !== 'procedure') || this.#parens > 0) return;
    if (word === 'begin' || (word === 'case' && this.#blocks > 0)) this.#blocks += 1;
    if (word === 'end') this.#blocks = Math.max(0, this.#blocks - 1);
  }

  /** Up to a line that is `\.` alone. */
  #rows(buffer: Buffer, text: string, at: number): Step {
    const end = this.#isLineStart ? /^\\\.\r?\n/.exec(text.slice(at, at + 4))?.[0] : undefined;
    if (end !== undefined) {
      this.#mode = plain;
      return { to: at + end.length, wait: false, part: { kind: 'copied' } };
    }
    const rest = text.length - at;
    if (rest === 0 || (this.#isLineStart && rest < 4 && '\\.\r\n'.startsWith(text.slice(at))))
      return { to: at, wait: true };
    // A place where a line begins with a backslash and a dot; \N, a null, begins many.
    const found = text.indexOf('\n\\.', at);
    const isHeld = found === -1 && text.endsWith('\n\\');
    const to = found !== -1 ? found + 1 : text.length - (isHeld ? 1 : 0);
    this.#isLineStart = text[to - 1] === '\n';
    return { to, wait: false, part: { kind: 'rows', bytes: buffer.subarray(at, to) } };
  }

  #take(text: string, from: number, to: number): Step {
    this.#add(text.slice(from, to));
    return { to, wait: false };
  }

  /** Everything before `to` is understood, the rest needs what comes next. */
  #keep(text: string, from: number, to: number): Step {
    this.#add(text.slice(from, to));
    return { to, wait: true };
  }

  #add(text: string): void {
    if (this.#size === 0) {
      const shown = text.trimStart();
      if (shown === '') return;
      this.#startLine = this.#line + countNewlines(text, 0, text.length - shown.length);
    }
    if (/\S/.test(text)) this.#afterE = false;
    this.#size += text.length;
    this.#parts.push(text);
    if (this.#size > statementBytesMax)
      throw refusedAt(
        this.#startLine,
        `a statement is longer than ${statementBytesMax / 1024 ** 2} MiB`,
        dumpHint,
      );
  }

  #text(): string {
    return this.#parts.join('');
  }

  #forget(): void {
    this.#parts = [];
    this.#size = 0;
    this.#words = [];
    this.#parens = 0;
    this.#blocks = 0;
  }

  #countLines(buffer: Buffer, from: number, to: number): void {
    for (
      let found = buffer.indexOf(10, from);
      found !== -1 && found < to;
      found = buffer.indexOf(10, found + 1)
    )
      this.#line += 1;
  }
}

interface Step {
  /** Where the next step begins. */
  readonly to: number;
  /** Until there is more of the file. */
  readonly wait: boolean;
  readonly part?: SqlPart;
}

const dumpHint = 'Dump with `pg_dump --format=plain`, or better `--format=custom`, without --create.';

function nextOf(text: string, at: number, mark: string, escapes: boolean): number {
  const found = text.indexOf(mark, at);
  if (!escapes) return found;
  const backslash = text.indexOf('\\', at);
  return backslash !== -1 && (found === -1 || backslash < found) ? backslash : found;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decode(text: string, line: number): string {
  try {
    return utf8.decode(Buffer.from(text, 'latin1'));
  } catch {
    throw refusedAt(line, 'it is not UTF-8', 'Dump with `pg_dump --encoding=UTF8`.');
  }
}
