import { BoughError } from '@bough/domain/bough-error';
import type { Client } from 'pg';
import { refusedAt, watchEnds } from '../dump-text.ts';
import type { ReadMeter } from '../read-meter.ts';
import { copyIn, execute } from './copy-rows.ts';
import { errorWords } from './error-words.ts';
import { type SqlPart, splitSql } from './split-sql.ts';
import { type LoadTarget, withTarget } from './with-target.ts';

/** Rows of `pg_dump --inserts` go together: one round trip each would take most of the time. */
const batchCharactersMax = 256 * 1024;
/** An index of a large table takes hours; a statement that takes days is stuck. */
const statementTimeoutMs = 12 * 3_600_000;

/**
 * A dump in plain SQL, statement by statement and COPY by COPY, as the user who is given: the server's rights are what
 * holds the file, not our reading of it. Left out is what the other ways of loading leave out: owners, rights, comments,
 * publications, subscriptions.
 */
export async function loadPlain(
  bytes: AsyncIterable<Buffer>,
  target: LoadTarget,
  of: { meter: ReadMeter; signal: AbortSignal },
): Promise<void> {
  await withTarget(target, of.signal, async (client, stop) => {
    const perform: Perform = async (at, work) => {
      const timer = setTimeout(stop, statementTimeoutMs);
      await work()
        .catch((error: unknown) => {
          if (!isSettingOfAnotherVersion(at.text, error)) throw failure(at, error);
        })
        .finally(() => clearTimeout(timer));
    };
    await run(client, splitSql(watchEnds(bytes, ends)), { ...of, perform });
  });
}

type Perform = (at: { text: string; line: number }, work: () => Promise<void>) => Promise<void>;

async function run(
  client: Client,
  parts: AsyncGenerator<SqlPart>,
  { meter, perform }: { meter: ReadMeter; perform: Perform },
): Promise<void> {
  let batch: { text: string; line: number } | undefined;
  const flush = async (): Promise<void> => {
    const sent = batch;
    batch = undefined;
    if (sent !== undefined) await perform(sent, () => execute(client, sent.text));
  };
  for await (const part of parts) {
    if (part.kind === 'rows' || part.kind === 'copied') continue;
    const { text, line } = part;
    if (part.kind === 'statement' && /^insert\s/i.test(text)) {
      batch = batch === undefined ? { text, line } : { ...batch, text: `${batch.text};\n${text}` };
      if (batch.text.length >= batchCharactersMax) await flush();
      continue;
    }
    await flush();
    if (part.kind === 'copy') {
      meter.at(/^copy\s+(?:only\s+)?([^\s(]+)/i.exec(text)?.[1] ?? '');
      await perform(part, () => copyIn(client, text, rowsOf(parts)));
      meter.at('');
    } else if (!isLeftOut(part)) await perform(part, () => execute(client, text));
  }
  await flush();
}

/** Those of the COPY that was just begun. */
async function* rowsOf(parts: AsyncGenerator<SqlPart>): AsyncGenerator<Buffer> {
  for (;;) {
    const next = await parts.next();
    if (next.done === true || next.value.kind !== 'rows') return;
    yield next.value.bytes;
  }
}

const leftOut =
  /^(?:grant|revoke|comment\s+on|security\s+label|alter\s+default\s+privileges|set\s+session\s+authorization|(?:create|alter|drop)\s+(?:publication|subscription)|set\s+default_tablespace|create\s+schema\s+"?public"?\s*$)(?:\s|$)/i;

function isLeftOut({ text, line }: { text: string; line: number }): boolean {
  const encoding = /^set\s+(?:session\s+)?client_encoding\s*(?:=|to)\s*'?([\w-]+)/i.exec(text)?.[1];
  if (encoding !== undefined && !/^(?:utf-?8|unicode|sql_ascii)$/i.test(encoding))
    throw refusedAt(line, `the dump is written in ${encoding}`, 'Dump with `pg_dump --encoding=UTF8`.');
  if (/^set\s+(?:session\s+)?standard_conforming_strings\s*(?:=|to)\s*'?(?:off|false|0)/i.test(text))
    throw refusedAt(
      line,
      'backslashes in its texts are escapes',
      'Dump with a pg_dump of version 9.1 or newer.',
    );
  return leftOut.test(text) || /^alter\s[^;]{0,2000}\sowner\s+to\s+(?:"(?:[^"]|"")+"|[\w$]+)$/i.test(text);
}

/** `transaction_timeout` of version 17 means nothing to older servers, and nothing is lost without it. */
function isSettingOfAnotherVersion(text: string, error: unknown): boolean {
  return /^set\s+\w+\s*=/i.test(text) && (error as { code?: unknown } | null)?.code === '42704';
}

/** Says where, and what the server said but for values. */
function failure({ text, line }: { text: string; line: number }, error: unknown): unknown {
  const { code, message, where, routine } = (error ?? {}) as Readonly<
    Partial<Record<'code' | 'message' | 'where' | 'routine', unknown>>
  >;
  if (error instanceof BoughError || typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code)) return error;
  const words = errorWords({ code, message: String(message), routine });
  const row = typeof where === 'string' ? /^COPY \S+, line (\d+)(?:, column ([^\s:]+))?/.exec(where) : null;
  const at = row === null ? line : line + Number(row[1]);
  const begin = /^\w+(?:\s+(?:\w+\s+){0,3}?(?:only\s+)?["\w.]+)?/.exec(text)?.[0].slice(0, 80) ?? '';
  const column = row?.[2] === undefined ? '' : `, column ${row[2]}`;
  return refusedAt(
    at,
    `${words} (${code}, in "${begin}"${column})`,
    code === '42501' || code === '42704' || code === '0A000'
      ? 'A dump is loaded as the owner of its database, not as a superuser. Extensions that it uses are declared below `configuration: extensions:` of the service.'
      : 'Dump one whole database with `pg_dump --format=plain`, or better `--format=custom`, for an empty one.',
  );
}

const header = /^(?:[^\S\n]*\n|--[^\n]*\n|\\restrict[^\n]*\n)*-- PostgreSQL database dump\s*\n/;
const ends = { header, footer: '-- PostgreSQL database dump complete', tool: 'pg_dump' };
