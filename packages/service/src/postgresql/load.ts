import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BoughError } from '@bough/domain/bough-error';
import { Client } from 'pg';
import type { Address, Credentials, DataSource, LoadOptions, ServiceDeclaration } from '../service.ts';
import { majorOf } from './configuration.ts';
import { type DumpTools, findDumpTools } from './dump-tools.ts';
import { postgresEndpoints } from './endpoints.ts';

/** What a production that serves is read at, at most: it has other things to do. */
const bytesPerSecond = 64 * 1024 ** 2;
const connectTimeoutMs = 15_000;
const progressEveryMs = 2_000;
const errorBytesMax = 16 * 1024;

/**
 * Fills an empty, private server from elsewhere. The source is read in one read-only transaction of `pg_dump` and written by
 * `pg_restore`, never by psql, so that nothing in it is a command; no raw byte of it is written outside of that server.
 */
export async function postgresLoad(
  source: DataSource,
  target: { declaration: ServiceDeclaration; address: Address; credentials: Credentials },
  options: LoadOptions,
): Promise<void> {
  const { declaration } = target;
  if (source.kind === 'file') {
    const tools = await findDumpTools(0);
    await restore(createReadStream(source.path), tools, target, options);
    return;
  }
  const login = parseUrl(source.url.reveal(), declaration.name);
  const major = await askMajor(login, declaration.name, options.signal);
  if (major > Number(majorOf(declaration)))
    throw new BoughError({
      code: 'source-newer',
      message: `The source of "${declaration.name}" is PostgreSQL ${major}, and the manifest declares ${declaration.type}:${declaration.version}.`,
      hint: `Declare ${declaration.type}:${major}: an older server cannot read what a newer one wrote.`,
    });
  const tools = await findDumpTools(major);
  options.line(`reading PostgreSQL ${major} with pg_dump ${tools.major}`);
  const dump = spawn(
    tools.dump,
    ['--format=custom', '--compress=0', '--no-subscriptions', '--no-publications'],
    {
      env: {
        ...login.env,
        PGOPTIONS: '-c default_transaction_read_only=on -c statement_timeout=0 -c lock_timeout=30s',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: options.signal,
    },
  );
  const ended = outcomeOf(dump);
  const restored = await restore(dump.stdout, tools, target, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  const { code, errors } = await ended;
  options.signal.throwIfAborted();
  if (code !== 0 && !(restored instanceof BoughError && errors === ''))
    throw new BoughError({
      code: 'source-not-readable',
      message: `The source of "${declaration.name}" could not be read: ${firstError(errors, login.secret)}`,
      hint: 'Its user needs select on every table and usage on every schema: grant pg_read_all_data to it.',
    });
  if (restored !== undefined) throw restored;
}

interface SourceLogin {
  readonly env: Readonly<Record<string, string>>;
  readonly secret: string;
  readonly host: string;
}

function parseUrl(text: string, service: string): SourceLogin {
  const malformed = new BoughError({
    code: 'source-malformed',
    message: `The secret with the source of "${service}" is no connection string.`,
    hint: 'It must read postgresql://user:password@host:5432/database, with ?sslmode=require where the server wants it.',
  });
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw malformed;
  }
  const database = decodeURIComponent(url.pathname.slice(1));
  if (!/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '' || database === '') throw malformed;
  const secret = decodeURIComponent(url.password);
  return {
    secret,
    host: url.hostname,
    env: {
      PGHOST: url.hostname.replace(/^\[|\]$/g, ''),
      PGPORT: url.port === '' ? '5432' : url.port,
      PGUSER: decodeURIComponent(url.username),
      PGPASSWORD: secret,
      PGDATABASE: database,
      PGSSLMODE: url.searchParams.get('sslmode') ?? 'prefer',
      PGCONNECT_TIMEOUT: '15',
      PGAPPNAME: 'bough',
      PATH: '/usr/bin:/bin',
    },
  };
}

async function askMajor(login: SourceLogin, service: string, signal: AbortSignal): Promise<number> {
  const { env } = login;
  const mode = env.PGSSLMODE ?? '';
  const client = new Client({
    host: env.PGHOST,
    port: Number(env.PGPORT),
    user: env.PGUSER,
    password: env.PGPASSWORD,
    database: env.PGDATABASE,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: connectTimeoutMs,
    application_name: 'bough',
    ssl: /^(require|verify-)/.test(mode) ? { rejectUnauthorized: mode.startsWith('verify-') } : false,
  });
  client.on('error', () => {});
  const stop = () => void client.end().catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    const { rows } = await client.query<{ number: number }>(
      `select current_setting('server_version_num')::int as number`,
    );
    return Math.floor((rows[0]?.number ?? 0) / 10_000);
  } catch (error) {
    signal.throwIfAborted();
    throw sourceError(error, login, service);
  } finally {
    signal.removeEventListener('abort', stop);
    await client.end().catch(() => {});
  }
}

/** The server's own words may repeat what it was given, so that only its code is passed on. */
function sourceError(error: unknown, login: SourceLogin, service: string): BoughError {
  const code = String((error as { code?: unknown } | null)?.code ?? '');
  const at = `The source of "${service}" at ${login.host}`;
  if (/^28/.test(code))
    return new BoughError({
      code: 'source-refused',
      message: `${at} refuses the user or the password (${code}).`,
      hint: 'Set the secret anew: bough secret set. Its user needs to log in from this machine (pg_hba.conf), maybe with ?sslmode=require.',
    });
  if (code === '3D000')
    return new BoughError({
      code: 'source-refused',
      message: `${at} has no such database.`,
      hint: 'Name the database at the end of the connection string, and set the secret anew: bough secret set.',
    });
  return new BoughError({
    code: 'source-unreachable',
    message: `${at} does not answer (${code === '' ? 'no answer in 15 s' : code}).`,
    hint: 'Look whether this machine reaches it: host, port, firewall. Bough tries again by itself.',
    retryable: true,
  });
}

async function restore(
  dump: Readable,
  tools: DumpTools,
  target: { declaration: ServiceDeclaration; address: Address; credentials: Credentials },
  { signal, line }: LoadOptions,
): Promise<void> {
  const [endpoint] = Object.values(postgresEndpoints(target.declaration, target.credentials));
  if (endpoint === undefined) throw new Error('a postgresql service without an endpoint');
  const password = endpoint.password?.reveal() ?? '';
  // As the owner of the database, as the app will be: not as a superuser, whatever the source holds.
  const child = spawn(
    tools.restore,
    [
      ...['--no-owner', '--no-privileges', '--no-comments', '--exit-on-error'],
      ...['--no-subscriptions', '--no-publications', `--dbname=${endpoint.path}`],
    ],
    {
      env: {
        PGHOST: target.address.host,
        PGPORT: String(target.address.port),
        PGUSER: endpoint.username,
        PGPASSWORD: password,
        PGSSLMODE: 'disable',
        PATH: '/usr/bin:/bin',
      },
      stdio: ['pipe', 'ignore', 'pipe'],
      signal,
    },
  );
  const ended = outcomeOf(child);
  const fed = await pipeline(dump, (chunks) => throttled(chunks, line), child.stdin, { signal }).then(
    () => undefined,
    (error: unknown) => error,
  );
  const { code, errors } = await ended;
  signal.throwIfAborted();
  if (code !== 0)
    throw new BoughError({
      code: 'source-not-loaded',
      message: `The dump for "${target.declaration.name}" could not be loaded: ${firstError(errors, password)}`,
      hint: 'A dump file must be made by `pg_dump --format=custom`. Extensions that the source uses are declared below `configuration: extensions:` of the service.',
    });
  if (fed !== undefined) throw fed;
}

async function* throttled(
  chunks: AsyncIterable<Buffer>,
  line: (text: string) => void,
): AsyncGenerator<Buffer> {
  const startedAt = Date.now();
  let bytes = 0;
  let saidAt = startedAt;
  for await (const chunk of chunks) {
    yield chunk;
    bytes += chunk.length;
    const aheadMs = (bytes / bytesPerSecond) * 1000 - (Date.now() - startedAt);
    if (aheadMs > 5) await new Promise((resolve) => setTimeout(resolve, aheadMs));
    if (Date.now() - saidAt < progressEveryMs) continue;
    saidAt = Date.now();
    line(`${(bytes / 1e6).toFixed(1)} MB read`);
  }
  line(`${(bytes / 1e6).toFixed(1)} MB read in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
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

/** Only the line that says what is wrong: those behind it quote rows. */
function firstError(errors: string, secret: string): string {
  const lines = errors.split('\n').filter((text) => text.trim() !== '');
  const line = lines.find((text) => /error:|FATAL/.test(text)) ?? lines[0] ?? 'it ended without a word';
  const shown = secret === '' ? line : line.replaceAll(secret, '[redacted]');
  return shown
    .replace(/^pg_(dump|restore): (error: )?/, '')
    .replace(/\s*Command was:.*$/, '')
    .slice(0, 300);
}
