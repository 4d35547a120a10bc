import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BoughError } from '@bough/domain/bough-error';
import { metered, type ReadMeter } from '../read-meter.ts';
import { stopReader } from '../stop-reader.ts';
import { readOnlyOptions } from './connect-source.ts';
import type { DumpTools } from './dump-tools.ts';
import { firstError } from './error-words.ts';
import { loadPlain } from './load-plain.ts';
import type { SourceLogin } from './parse-source-url.ts';
import { isRecoveryConflict, readableHint, recoveryConflict, snapshotLost } from './source-login.ts';
import type { LoadTarget } from './with-target.ts';

const errorBytesMax = 16 * 1024;

export interface Transfer {
  readonly tools: DumpTools;
  readonly target: LoadTarget;
  readonly meter: ReadMeter;
  readonly signal: AbortSignal;
}

const dumpFlags = ['--format=custom', '--compress=0', '--no-subscriptions', '--no-publications'];

/** What of a source one `pg_dump` brings: all of it, where nothing is said. */
export interface DumpScope {
  readonly flags?: readonly string[];
  /** The source has been read; what came may still be made into indexes. */
  readonly whenRead?: () => void;
}

/** One `pg_dump` piped into one `pg_restore`: no byte of it touches a disk but the private server's. */
export async function dumpInto(login: SourceLogin, of: Transfer, scope: DumpScope = {}): Promise<void> {
  const { target, signal } = of;
  const dump = spawn(of.tools.dump, [...dumpFlags, ...(scope.flags ?? [])], {
    env: { ...login.env, PGOPTIONS: readOnlyOptions },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  dump.once('exit', () => scope.whenRead?.());
  const ended = outcomeOf(dump);
  const restored = await restoreFrom(dump.stdout, of).then(
    () => undefined,
    (error: unknown) => error,
  );
  // Where the private server said no, nobody reads the rest, and what the reader says of its end is no news.
  const isRefused = restored !== undefined && !dump.stdout.readableEnded;
  if (isRefused) stopReader(dump);
  const { code, errors } = await ended;
  signal.throwIfAborted();
  if (isRecoveryConflict(errors)) throw recoveryConflict(target.service);
  if (isSnapshotLost(errors)) throw snapshotLost(target.service);
  if (isRefused) throw restored;
  if (code !== 0 && !(restored instanceof BoughError && errors === ''))
    throw new BoughError({
      code: 'source-not-readable',
      message: `The source of "${target.service}" could not be read: ${firstError(errors, login.secret)}`,
      hint: readableHint,
    });
  if (restored !== undefined) throw restored;
}

function isSnapshotLost(errors: string): boolean {
  return /ERROR: {2}(?:invalid snapshot identifier|snapshot "[^"]*" does not exist)/.test(errors);
}

/** From here on pg_restore sets `transaction_timeout`, which no older server knows, and would end there. */
const strangeSettingMajor = 17;

/** Written by pg_restore itself, or by us, as statements, where the server is too old for what pg_restore sets first. */
export async function restoreFrom(dump: AsyncIterable<Buffer>, of: Transfer): Promise<void> {
  const { tools, target, meter, signal } = of;
  const isOurs = tools.major >= strangeSettingMajor && target.major < strangeSettingMajor;
  const child = spawn(tools.restore, [...restoreFlags, isOurs ? '--file=-' : `--dbname=${target.database}`], {
    env: environmentOf(target),
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
  });
  const ended = outcomeOf(child);
  // Its end is no news to a pipeline that waits for the next chunk.
  const refused = new AbortController();
  child.once('exit', (code) => {
    if (code !== 0) refused.abort();
  });
  child.once('error', () => refused.abort());
  const written = isOurs ? writeSql(child, child.stdout, of) : undefined;
  if (written === undefined) child.stdout.resume();
  const fed = await pipeline(dump, (chunks) => metered(chunks, meter, signal), child.stdin, {
    signal: AbortSignal.any([signal, refused.signal]),
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  const { code, errors } = await ended;
  const refusal = await written;
  signal.throwIfAborted();
  if (refusal !== undefined) throw refusal;
  if (code !== 0)
    throw new BoughError({
      code: 'source-not-loaded',
      message: `The dump for "${target.service}" could not be loaded: ${firstError(errors, target.password)}`,
      hint: 'A dump file must be made by `pg_dump`, best with `--format=custom`. Extensions that the source uses are declared below `configuration: extensions:` of the service.',
    });
  if (fed !== undefined) throw fed;
}

const restoreFlags = [
  ...['--no-owner', '--no-privileges', '--no-comments', '--exit-on-error'],
  ...['--no-subscriptions', '--no-publications'],
];

function environmentOf(target: LoadTarget): Readonly<Record<string, string>> {
  return {
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGUSER: target.user,
    PGPASSWORD: target.password,
    PGSSLMODE: 'disable',
    PATH: '/usr/bin:/bin',
  };
}

/** Why it was not written to its end; undefined too where it has no end, for which pg_restore has the reason. */
async function writeSql(restore: ChildProcess, sql: Readable, of: Transfer): Promise<unknown> {
  try {
    await loadPlain(sql, of.target, of);
    return undefined;
  } catch (error) {
    if (sql.readableEnded) return undefined;
    stopReader(restore);
    return error;
  }
}

async function outcomeOf(child: ReturnType<typeof spawn>): Promise<{ code: number | null; errors: string }> {
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (errors.length < errorBytesMax) errors += text;
  });
  child.stdin?.on('error', () => {});
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, errors };
  } catch (error) {
    return { code: null, errors: error instanceof Error ? error.message : String(error) };
  }
}
