import { BoughError } from '@bough/domain/bough-error';
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
import { majorOf } from './configuration.ts';
import { findDumpTools } from './dump-tools.ts';
import { postgresEndpoints } from './endpoints.ts';
import { loadParallel } from './load-parallel.ts';
import { loadPlain } from './load-plain.ts';
import { parseSourceUrl, type SourceLogin, toolsMajorFor, withRoots } from './parse-source-url.ts';
import { askSource, type SourceFacts } from './source-login.ts';
import { restoreFrom } from './transfer.ts';
import type { LoadTarget } from './with-target.ts';

/** pg_dump and one beside it: enough to keep a disk busy, few enough for a production that serves. */
const connectionsDefault = 2;

/**
 * Fills an empty, private server from elsewhere. The source is read as it is at one moment, by `pg_dump` and connections that
 * cannot write, and written by `pg_restore` and COPY; a dump by `pg_restore`, or statement by statement, never by psql, so
 * that nothing in it is a command. No raw byte is written outside of that server.
 */
export async function postgresLoad(
  source: DataSource,
  of: { declaration: ServiceDeclaration; address: Address; credentials: Credentials },
  options: LoadOptions,
): Promise<LoadedSource> {
  return source.kind === 'file'
    ? await loadFile(source.path, targetOf(of), options)
    : await loadServer(source, of, options);
}

function loadFile(path: string, target: LoadTarget, options: LoadOptions): Promise<LoadedSource> {
  return loadDumpFile(path, options, async ({ format, bytes }, { meter, signal }) => {
    if (format === 'custom') {
      await restoreFrom(bytes, {
        tools: await findDumpTools({ least: 0, target: target.major }),
        ...{ target, meter, signal },
      });
      return 'a dump of pg_dump';
    }
    await loadPlain(metered(bytes, meter, signal), target, { meter, signal });
    return 'a dump in plain SQL';
  });
}

async function loadServer(
  source: Extract<DataSource, { kind: 'url' }>,
  of: { declaration: ServiceDeclaration; address: Address; credentials: Credentials },
  { signal, line }: LoadOptions,
): Promise<LoadedSource> {
  const { declaration } = of;
  const login = parseSourceUrl(source.url.reveal(), declaration.name);
  const facts = await askSource(login, declaration.name, signal);
  refuseUnfit(facts, { declaration, login, isStandbyWanted: source.standby === true });
  const target = targetOf(of);
  const tools = await findDumpTools({
    ...{ least: facts.major, target: target.major, wished: toolsMajorFor(login) },
  });
  const words = `PostgreSQL ${facts.major}${standbyWords(facts)}`;
  line(`reading ${words} with pg_dump ${tools.major}`);
  const meter = createReadMeter(line);
  await loadParallel(withRoots(login, tools.major, declaration.name), {
    ...{ tools, target, meter, signal, line },
    ...{ connections: source.connections ?? connectionsDefault, sourceMajor: facts.major },
  });
  meter.done();
  return { words };
}

function refuseUnfit(
  { major, isStandby }: SourceFacts,
  of: { declaration: ServiceDeclaration; login: SourceLogin; isStandbyWanted: boolean },
): void {
  const { declaration, login } = of;
  if (major > Number(majorOf(declaration)))
    throw new BoughError({
      code: 'source-newer',
      message: `The source of "${declaration.name}" is PostgreSQL ${major}, and the manifest declares ${declaration.type}:${declaration.version}.`,
      hint: `Declare ${declaration.type}:${major}: an older server cannot read what a newer one wrote.`,
    });
  // After a failover the address may lead to what customers wait for.
  if (of.isStandbyWanted && !isStandby)
    throw new BoughError({
      code: 'source-not-standby',
      message: `The source of "${declaration.name}" at ${login.host} is not a standby (any more), and \`standby: true\` says to read nothing else.`,
      hint: 'Set the secret to the address of a standby, or remove `standby: true` in the default branch to read the primary.',
      retryable: true,
    });
}

function standbyWords({ isStandby, newestSeconds }: SourceFacts): string {
  if (!isStandby) return '';
  const age =
    newestSeconds === null
      ? 'which has replayed no transaction since it started'
      : `whose newest transaction was ${newestSeconds.toFixed(1)} s old`;
  return `, a standby ${age}`;
}

function targetOf(of: {
  declaration: ServiceDeclaration;
  address: Address;
  credentials: Credentials;
}): LoadTarget {
  const [endpoint] = Object.values(postgresEndpoints(of.declaration, of.credentials));
  if (endpoint === undefined) throw new Error('a postgresql service without an endpoint');
  return {
    service: of.declaration.name,
    major: Number(majorOf(of.declaration)),
    ...of.address,
    user: endpoint.username,
    password: endpoint.password?.reveal() ?? '',
    database: endpoint.path,
  };
}
