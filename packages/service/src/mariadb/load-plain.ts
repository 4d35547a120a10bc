import { BoughError } from '@bough/domain/bough-error';
import { createConnection } from 'mysql2';
import { refusedAt, watchEnds } from '../dump-text.ts';
import { errorWords } from './error-words.ts';
import { type SqlStatement, splitMariadbSql } from './split-sql.ts';

/** An index of a large table takes hours; a statement that takes days is stuck. */
const statementTimeoutMs = 12 * 3_600_000;

export interface MariadbTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/**
 * A dump, statement by statement, as the user who is given: the server's rights are what holds the file. What makes
 * something as somebody else is made as that user; what speaks of the server as a whole is left out.
 */
export async function loadMariadbSql(
  bytes: AsyncIterable<Buffer>,
  target: MariadbTarget,
  { signal, isFile }: { signal: AbortSignal; isFile: boolean },
): Promise<void> {
  signal.throwIfAborted();
  const connection = createConnection({
    ...target,
    // Statements go as the bytes that the file has, whatever those are: in dumps blobs stand between texts.
    charset: 'BINARY',
    // Else `set names` would change how statements are sent.
    flags: ['-LOCAL_FILES', '-SESSION_TRACK'],
    connectTimeout: 15_000,
    enableKeepAlive: true,
  });
  connection.on('error', () => {});
  const closed = new Error('the connection to the private server was closed');
  let isClosed = false;
  // A query on a destroyed connection never ends by itself.
  let rejectCurrent: (error: Error) => void = () => {};
  const stop = () => {
    isClosed = true;
    connection.destroy();
    rejectCurrent(closed);
  };
  const execute: Execute = (sql) =>
    new Promise((resolve, reject) => {
      if (isClosed) return reject(closed);
      rejectCurrent = reject;
      // Rows that it returns are thrown away as they come.
      connection.query(sql).on('error', reject).on('end', resolve);
    });
  signal.addEventListener('abort', stop, { once: true });
  try {
    await execute('set names utf8mb4');
    for await (const statement of splitMariadbSql(isFile ? watchEnds(bytes, ends) : bytes))
      await perform(execute, statement, stop);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    connection.destroy();
  }
}

type Execute = (sql: string) => Promise<void>;

async function perform(execute: Execute, statement: SqlStatement, stop: () => void): Promise<void> {
  const head = statement.bytes.slice(0, 2000);
  refuseCharset(head, statement.line);
  if (leftOut.test(head)) return;
  const timer = setTimeout(stop, statementTimeoutMs);
  try {
    await execute(withoutDefiner(statement.bytes));
  } catch (error) {
    throw failure(statement, error);
  } finally {
    clearTimeout(timer);
  }
}

const leftOut =
  /^(?:\/\*M?!\d*\s*)?(?:set\s+(?:@@)?global\b|set\s+@@session\.sql_log_bin\b|change\s+master\b|grant\b|revoke\b|flush\b)/i;

const account = "(?:`[^`]*`|'[^']*'|[\\w$]+)(?:@(?:`[^`]*`|'[^']*'|[\\w.%$]+))?";
const definer = new RegExp(`\\bdefiner\\s*=\\s*(?:${account}|current_user(?:\\(\\))?)`, 'i');
const maker = /^(?:\/\*M?!\d*\s*)?(?:create|alter)\b/i;

/** Accounts of production are not here, and nobody may make things in another's name. */
function withoutDefiner(sql: string): string {
  const found = maker.test(sql) ? definer.exec(sql.slice(0, 1000)) : null;
  return found === null ? sql : sql.slice(0, found.index) + sql.slice(found.index + found[0].length);
}

/** In these a byte of a letter can be a quote or a backslash. */
function refuseCharset(head: string, line: number): void {
  const charset =
    /\bset\s+(?:names\s+|character_set_client\s*=\s*|character\s+set\s+)'?(gbk|gb18030|gb2312|big5|sjis|cp932|utf16|utf32|ucs2)/i.exec(
      head,
    )?.[1];
  if (charset === undefined) return;
  throw refusedAt(line, `the dump is written in ${charset}`, 'Dump with `--default-character-set=utf8mb4`.');
}

function failure({ bytes, line }: SqlStatement, error: unknown): unknown {
  const { errno, sqlMessage, sqlState } = (error ?? {}) as Readonly<
    Partial<Record<'errno' | 'sqlMessage' | 'sqlState', unknown>>
  >;
  if (error instanceof BoughError || typeof errno !== 'number' || typeof sqlMessage !== 'string')
    return error;
  const words = errorWords({ errno, message: sqlMessage, state: sqlState });
  const begin = /^(?:\/\*M?!\d*\s*)?((?:[a-z]+\s+){1,3}[`\w.]*)/i.exec(bytes)?.[1]?.slice(0, 80) ?? '';
  return refusedAt(
    line,
    `MariaDB error ${errno}: ${words} (in "${begin.trim()}")`,
    errno === 1044 || errno === 1049 || errno === 1142
      ? 'A dump is loaded as the user of the service. Dump one database without --databases, or declare each below `configuration: schemas:`.'
      : 'Dump one whole database with `mariadb-dump --single-transaction --hex-blob <database>`, for an empty one.',
  );
}

const ends = { header: /^-- (?:MariaDB|MySQL) dump /m, footer: '-- Dump completed', tool: 'mariadb-dump' };
