import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlannedRun } from '@bough/reconcile/deploy/run';
import {
  credentialsOf,
  declarationOf,
  type RunningService,
  startService,
} from '@bough/reconcile/deploy/services';
import type { Credentials } from '@bough/service/service';
import type { Volume } from '@bough/storage/storage';
import { execa } from 'execa';
import { appOf, ask, type CloneSide, DATABASE } from './clone-bough.ts';

const LATEST_MS = 60 * 60_000;
const JOBS = '2';

export interface Peer {
  readonly name: string;
  /** Undefined: it could not be measured, and why. */
  readonly ms?: number;
  readonly note: string;
}

/** Where Debian keeps pg_dump and friends, whose major must be the server's or newer. */
export async function clientTools(major: number): Promise<string | undefined> {
  const bin = `/usr/lib/postgresql/${major}/bin`;
  const names: string[] = await readdir(bin).catch(() => []);
  return names.includes('pg_dump') && names.includes('pg_basebackup') ? bin : undefined;
}

/** The newest PostgreSQL of which both server and client tools can be had here. */
export async function comparableMajor(): Promise<number | undefined> {
  const names = await readdir('/usr/lib/postgresql').catch((): string[] => []);
  const majors = names.map(Number).filter((major) => major >= 14 && major <= 18);
  for (const major of majors.sort((a, b) => b - a)) if (await clientTools(major)) return major;
  return undefined;
}

/** What people use without copy-on-write, from the same idle production on the same disk to the first answered query. */
export async function measurePeers(
  side: CloneSide,
  options: {
    parent: RunningService;
    number: number;
    major: number;
    cloneRun: PlannedRun;
    clone: RunningService;
  },
  onProgress: (text: string) => void,
): Promise<Peer[]> {
  const peers: Peer[] = [];
  const bin = await clientTools(options.major);
  const missing = `no client tools of PostgreSQL ${options.major} on this machine`;
  const measure = async (name: string, note: string, work: () => Promise<number>) => {
    onProgress(name);
    peers.push({ name, note, ms: await work() });
  };
  if (bin === undefined) {
    peers.push({ name: 'pg_basebackup', note: missing }, { name: 'pg_dump | pg_restore', note: missing });
  } else {
    await measure('pg_basebackup', '--no-sync, then started as a preview', () =>
      withVolume(side, options.number, async (run, volume) => {
        const { address, credentials } = options.parent;
        await tool(bin, 'pg_basebackup', options.parent, [
          ...['-D', join(volume.path, 'pg'), '-c', 'fast', '--no-sync', '-X', 'stream'],
        ]);
        const started = await start(run, volume, credentials);
        await started(credentials);
        return address.port;
      }),
    );
    await measure('pg_dump | pg_restore', `-Fd -j${JOBS} -Z0 into an empty preview (fsync off)`, () =>
      withVolume(side, options.number + 1, (run, volume) => restore(side, run, volume, bin, options.parent)),
    );
  }
  for (const strategy of ['wal_log', 'file_copy']) {
    await measure(
      `CREATE DATABASE … TEMPLATE (${strategy})`,
      'in a running preview (fsync off), nobody connected',
      async () => {
        const { address, credentials } = options.clone;
        const from = performance.now();
        await ask(
          address,
          credentials,
          `create database copied template ${DATABASE} strategy ${strategy}`,
          'postgres',
        );
        await ask(address, credentials, 'select 1', 'copied');
        const ms = performance.now() - from;
        await ask(address, credentials, 'drop database copied', 'postgres');
        return ms;
      },
    );
  }
  return peers;
}

/** An environment with an empty volume, removed afterwards; the time is that of `work`. */
async function withVolume(
  side: CloneSide,
  number: number,
  work: (run: PlannedRun, volume: Volume) => Promise<unknown>,
): Promise<number> {
  const run = await side.prepare(number);
  const labels = {
    ...{ installationId: side.context.installationId, environmentId: run.environment.id },
    ...{ name: 'service:database', kind: 'preview' as const },
  };
  try {
    const from = performance.now();
    const volume = await side.context.storage.ensure({ id: `peer-${number}`, labels });
    await work(run, volume);
    return performance.now() - from;
  } finally {
    await side.remove(run);
  }
}

/** Starts a server on files that are there, or makes a cluster; resolves to how to wait for its first answer. */
async function start(run: PlannedRun, volume: Volume, credentials: Credentials) {
  const [planned] = run.plan.common.services;
  if (planned === undefined) throw new Error('the plan has no service');
  const service = run.context.service(planned.type);
  const declaration = declarationOf(planned);
  const silent = { line() {}, note: async () => {} };
  const { address } = await startService(run, {
    ...{ service, declaration, credentials, volume, mode: 'preview', voice: silent },
  });
  return async (login: Credentials) => {
    await service.ready(address, login, AbortSignal.any([run.lock.signal, AbortSignal.timeout(LATEST_MS)]));
    await ask(address, appOf(login), 'select 1');
  };
}

async function restore(
  side: CloneSide,
  run: PlannedRun,
  volume: Volume,
  bin: string,
  parent: RunningService,
): Promise<void> {
  const [planned] = run.plan.common.services;
  if (planned === undefined) throw new Error('the plan has no service');
  const service = side.context.service(planned.type);
  const declaration = declarationOf(planned);
  const credentials = await credentialsOf(run, declaration);
  const { address } = await startService(run, {
    ...{ service, declaration, credentials, volume, mode: 'preview' },
    voice: { line() {}, note: async () => {} },
  });
  await service.ready(address, credentials, AbortSignal.timeout(LATEST_MS));
  await service.provision(declaration, address, credentials);
  const dump = join(volume.path, 'dump');
  await mkdir(dump);
  await tool(bin, 'pg_dump', parent, ['-Fd', '-j', JOBS, '-Z0', '-f', join(dump, 'files'), DATABASE]);
  await tool(bin, 'pg_restore', { address, credentials }, [
    ...['-j', JOBS, '--no-owner', '--role', appOf(credentials).username, '-d', DATABASE, join(dump, 'files')],
  ]);
  await ask(address, appOf(credentials), 'select count(*) from pgbench_branches');
  await rm(dump, { recursive: true });
}

async function tool(
  bin: string,
  name: string,
  { address, credentials }: Pick<RunningService, 'address' | 'credentials'>,
  args: readonly string[],
): Promise<void> {
  await execa(
    join(bin, name),
    ['-h', address.host, '-p', String(address.port), '-U', credentials.username, ...args],
    {
      env: { PGPASSWORD: credentials.password.reveal(), LC_ALL: 'C', PATH: process.env.PATH },
      extendEnv: false,
      timeout: LATEST_MS,
      stdin: 'ignore',
    },
  );
}
