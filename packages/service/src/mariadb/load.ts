import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { loadDumpFile } from '../load-dump-file.ts';
import { createReadMeter, metered } from '../read-meter.ts';
import type {
  Address,
  Credentials,
  DataSource,
  LoadedSource,
  LoadOptions,
  ServiceDeclaration,
} from '../service.ts';
import { stopReader } from '../stop-reader.ts';
import { seriesOf } from './configuration.ts';
import { mariadbEndpoints } from './endpoints.ts';
import { loadMariadbSql, type MariadbTarget } from './load-plain.ts';
import { parseSourceUrl, type SourceLogin } from './parse-source-url.ts';

const connectTimeoutMs = 15_000;
const errorBytesMax = 16 * 1024;

/**
 * Fills an empty, private server from a dump, or from a server that `mariadb-dump` reads in one transaction. Both come as
 * statements that are sent as the service's own user; no raw byte is written outside of the private server.
 */
export async function mariadbLoad(
  source: DataSource,
  of: { declaration: ServiceDeclaration; address: Address; credentials: Credentials },
  options: LoadOptions,
): Promise<LoadedSource> {
  const target = targetOf(of);
  return source.kind === 'file'
    ? await loadFile(source.path, target, options)
    : await loadServer(source, { ...of, target }, options);
}

function loadFile(path: string, target: MariadbTarget, options: LoadOptions): Promise<LoadedSource> {
  return loadDumpFile(path, options, async ({ format, bytes }, { meter, signal }) => {
    if (format === 'custom')
      throw new BoughError({
        code: 'source-not-loaded',
        message: 'The dump is one of PostgreSQL, and the service is a MariaDB.',
        hint: 'Name another file below `data: source:` in the default branch.',
      });
    await loadMariadbSql(metered(bytes, meter, signal), target, { signal, isFile: true });
    return 'a dump in SQL';
  });
}

async function loadServer(
  source: Extract<DataSource, { kind: 'url' }>,
  of: { declaration: ServiceDeclaration; target: MariadbTarget },
  options: LoadOptions,
): Promise<LoadedSource> {
  const { name } = of.declaration;
  const { signal, line } = options;
  const login = parseSourceUrl(source.url.reveal(), name);
  const facts = await ask(login, name, signal);
  if (source.standby === true && !facts.isReadOnly)
    throw new BoughError({
      code: 'source-not-standby',
      message: `The source of "${name}" at ${login.host} can be written, and \`standby: true\` says to read a replica only.`,
      hint: 'Set the secret to the address of a replica with read_only = on, or remove `standby: true` in the default branch.',
      retryable: true,
    });
  const tool = await findDumpTool(of.declaration, options);
  const words = `${facts.version}${facts.isReadOnly ? ', a read-only server' : ''}`;
  const one =
    source.connections === undefined ? '' : ', which has one connection whatever `connections:` says';
  line(`reading ${words} with mariadb-dump${one}`);
  const meter = createReadMeter(line);
  const dump = spawn(tool.command, [...dumpFlags, ...loginFlags(login, facts.hasTls), login.database], {
    env: { ...tool.env, MYSQL_PWD: login.password, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  let errors = '';
  dump.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (errors.length < errorBytesMax) errors += text;
  });
  const ended = once(dump, 'close').then(
    ([code]) => code as number | null,
    () => null,
  );
  const loaded = await loadMariadbSql(metered(dump.stdout, meter, signal), of.target, {
    signal,
    isFile: false,
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  // Where the private server said no, nobody reads the rest.
  if (loaded !== undefined && !dump.stdout.readableEnded) {
    dump.stdout.destroy();
    stopReader(dump);
  }
  const code = await ended;
  signal.throwIfAborted();
  const isCutOff = (loaded as { message?: string } | undefined)?.message?.includes('has no end') === true;
  if (loaded !== undefined && !(isCutOff && code !== 0)) throw loaded;
  if (code !== 0) throw notReadable(name, errors, login.password);
  meter.done();
  return { words };
}

const dumpFlags = [
  '--no-defaults',
  ...['--single-transaction', '--quick', '--routines', '--triggers', '--events', '--hex-blob'],
  ...['--no-tablespaces', '--default-character-set=utf8mb4', '--max-allowed-packet=1G'],
];

/** The password is not among them. */
function loginFlags(login: SourceLogin, hasTls: boolean): readonly string[] {
  return [
    ...['--protocol=tcp', `--host=${login.host}`, `--port=${login.port}`, `--user=${login.user}`],
    ...(hasTls ? ['--ssl'] : []),
    login.ssl === 'verified' ? '--ssl-verify-server-cert' : '--skip-ssl-verify-server-cert',
  ];
}

async function ask(
  login: SourceLogin,
  service: string,
  signal: AbortSignal,
): Promise<{ version: string; isReadOnly: boolean; hasTls: boolean }> {
  signal.throwIfAborted();
  try {
    const { connection, hasTls } = await connect(login);
    connection.on('error', () => {});
    try {
      const [rows] = await connection.query<RowDataPacket[]>({
        sql: 'select version() as version, @@global.read_only as ro',
        timeout: connectTimeoutMs,
      });
      const { version, ro } = (rows[0] ?? {}) as { version?: unknown; ro?: unknown };
      const number = /^[\d.]{1,20}/.exec(String(version))?.[0] ?? '';
      const program = /mariadb/i.test(String(version)) ? 'MariaDB' : 'MySQL';
      return { version: `${program} ${number}`, isReadOnly: String(ro) === '1', hasTls };
    } finally {
      connection.destroy();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw sourceError(error, login.host, service);
  }
}

async function connect(login: SourceLogin): Promise<{ connection: Connection; hasTls: boolean }> {
  const { ssl, ...rest } = login;
  const plain = { ...rest, connectTimeout: connectTimeoutMs };
  if (ssl === 'off') return { connection: await createConnection(plain), hasTls: false };
  const isVerified = ssl === 'verified';
  try {
    const tls = { rejectUnauthorized: isVerified, verifyIdentity: isVerified };
    return { connection: await createConnection({ ...plain, ssl: tls }), hasTls: true };
  } catch (error) {
    const hasNone = (error as { code?: unknown } | null)?.code === 'HANDSHAKE_NO_SSL_SUPPORT';
    if (ssl !== 'preferred' || !hasNone) throw error;
    return { connection: await createConnection(plain), hasTls: false };
  }
}

/** The server's own words may repeat what it was given, so that only its code is passed on. */
function sourceError(error: unknown, host: string, service: string): BoughError {
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown };
  const at = `The source of "${service}" at ${host}`;
  if (errno === 1045 || errno === 1698 || errno === 1130 || errno === 1044)
    return new BoughError({
      code: 'source-refused',
      message: `${at} refuses the user or the password (${errno}).`,
      hint: 'Set the secret anew: bough secret set. Its user needs to log in from this machine and to see the database.',
    });
  if (errno === 1049)
    return new BoughError({
      code: 'source-refused',
      message: `${at} has no such database.`,
      hint: 'Name the database at the end of the connection string, and set the secret anew: bough secret set.',
    });
  return new BoughError({
    code: 'source-unreachable',
    message: `${at} does not answer (${String(code ?? 'no answer in 15 s')}).`,
    hint: 'Look whether this machine reaches it: host, port, firewall. Bough tries again by itself.',
    retryable: true,
  });
}

function notReadable(service: string, errors: string, password: string): BoughError {
  const lines = errors.split('\n').filter((text) => text.trim() !== '');
  const line = lines.find((text) => /error/i.test(text)) ?? lines[0] ?? 'it ended without a word';
  const shown = password === '' ? line : line.replaceAll(password, '[redacted]');
  return new BoughError({
    code: 'source-not-readable',
    message: `The source of "${service}" could not be read: ${shown.replace(/^\S*(mariadb-dump|mysqldump): /, '').slice(0, 300)}`,
    hint: 'Its user needs on its database: select, show view, trigger, event and (for functions) show create routine, or select on mysql.proc.',
  });
}

const directories = ['/usr/local/bin', '/usr/bin', '/bin'];

/** Beside the server's own program, or where the machine has it. */
async function findDumpTool(
  declaration: ServiceDeclaration,
  { tools }: LoadOptions,
): Promise<{ command: string; env: Readonly<Record<string, string>> }> {
  const own = await tools?.(`mariadb:${seriesOf(declaration)}`);
  for (const directory of [...(own?.bin ?? []), ...directories])
    for (const name of ['mariadb-dump', 'mysqldump']) {
      const command = join(directory, name);
      const isThere = await access(command, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (isThere) return { command, env: own?.env ?? { PATH: '/usr/bin:/bin' } };
    }
  throw new BoughError({
    code: 'dump-tool-missing',
    message: 'Reading this source needs mariadb-dump on this machine; there is none.',
    hint: 'Install it: apt install mariadb-client.',
  });
}

function targetOf(of: {
  declaration: ServiceDeclaration;
  address: Address;
  credentials: Credentials;
}): MariadbTarget {
  const [endpoint] = Object.values(mariadbEndpoints(of.declaration, of.credentials));
  if (endpoint === undefined) throw new Error('a mariadb service without an endpoint');
  return {
    ...of.address,
    user: endpoint.username,
    password: endpoint.password?.reveal() ?? '',
    database: endpoint.path,
  };
}
