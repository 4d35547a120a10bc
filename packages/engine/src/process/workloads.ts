import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { Seclusion, Workload, WorkloadSpec } from '../engine.ts';
import type { ArtifactShelf } from './artifacts.ts';
import { createGroup, hasGroup, removeGroup } from './cgroup.ts';
import { type EngineContext, findBubblewrap } from './context.ts';
import { type DoorSpec, makeDoor } from './door/door.ts';
import { installationMarker, parseRecord, type WorkloadRecord } from './labels.ts';
import { isListening, type Ports } from './ports.ts';
import { labelledProcesses, readProcessTable } from './process-table.ts';
import { type SandboxSpec, sandboxArguments } from './sandbox.ts';
import { behind, limitLines, temporaryBytes, withSandboxProcesses } from './sealed.ts';
import { digestSpec } from './spec-digest.ts';
import { stageFiles } from './stage.ts';
import { stopLabelled } from './stop.ts';
import {
  hasStateDirectory,
  listStateDirectories,
  makeStateDirectory,
  markStopping,
  noteNobody,
  readRecord,
  readStatus,
  removeStateDirectory,
  type SupervisorStatus,
  startSupervisor,
  stateDirectory,
  supervisorEnvironment,
  writeRecord,
} from './supervisor.ts';
import { insideVariables, prepareMounts, resolveToolchains, shownRoots } from './surroundings.ts';

export interface WorkloadHost {
  readonly context: EngineContext;
  readonly shelf: ArtifactShelf;
  readonly ports: Ports;
}

/** A workload as it is found: by its supervisor's own environment, or, when nothing of it runs, by its files. */
interface Sighting {
  readonly record: WorkloadRecord;
  readonly isAlive: boolean;
  readonly status: SupervisorStatus | undefined;
}

export async function listWorkloads(host: WorkloadHost): Promise<Workload[]> {
  return (await sightAll(host.context)).map(describe);
}

export async function observeWorkload(host: WorkloadHost, id: string): Promise<Workload | undefined> {
  const sighting = await sight(host.context, checkedId(id));
  return sighting && describe(sighting);
}

export async function ensureWorkload(
  host: WorkloadHost,
  spec: WorkloadSpec,
  signal?: AbortSignal,
): Promise<Workload> {
  const { context } = host;
  const id = checkedId(spec.id);
  const specDigest = await digestSpec(context.home, spec);
  const seen = await sightKnown(context, id);
  if (seen && isAsWanted(seen, specDigest)) return describe(seen);
  // Side by side: each of them waits for the kernel, and somebody waits for a preview.
  const [before, prepared] = await Promise.all([seen ?? sightLost(context, id), prepare(host, spec, signal)]);
  if (before && isAsWanted(before, specDigest)) return describe(before);
  signal?.throwIfAborted();
  if (before?.isAlive) await stop(context, before.record, signal);
  const common = { id, labels: spec.labels, stopSignal: spec.stopSignal, stopGraceMs: spec.stopGraceMs };
  const directory = stateDirectory(context.home, id);
  await makeStateDirectory(directory);
  // From here on it is listed, so that whatever a crash leaves of it can be found and removed.
  await writeRecord(directory, { ...common, specDigest: '', ...portOf(before?.record.port) });
  const port = spec.listens ? await choosePort(host, id, before) : undefined;
  const record: WorkloadRecord = { ...common, specDigest, ...portOf(port) };
  await start(host, { spec, record, prepared });
  context.log.info({ workload: id, environmentId: spec.labels.environmentId, port }, 'workload started');
  const after = await sight(context, id);
  if (after) return describe(after);
  throw vanished(id);
}

export async function stopWorkload({ context }: WorkloadHost, id: string): Promise<void> {
  const sighting = await sight(context, checkedId(id));
  if (!sighting) return;
  const directory = stateDirectory(context.home, id);
  // Its files may have been lost; the port must still be known when it is started again.
  await makeStateDirectory(directory);
  await writeRecord(directory, sighting.record);
  await stop(context, sighting.record);
  await removeGroup(context.hierarchies, id);
  // Bubblewrap's arguments hold the secrets, which nobody needs while it is stopped.
  await rm(join(directory, 'args'), { force: true });
  await noteNobody(directory);
}

export async function removeWorkload(host: WorkloadHost, id: string): Promise<void> {
  const { context } = host;
  const sighting = await sight(context, checkedId(id));
  await stop(context, sighting?.record ?? { id, stopSignal: 'SIGTERM', stopGraceMs: 0 });
  await removeGroup(context.hierarchies, id);
  await host.ports.release(id);
  await removeStateDirectory(context.home, id);
}

function portOf(port: number | undefined): { port?: number } {
  return port === undefined ? {} : { port };
}

function isAsWanted(sighting: Sighting, specDigest: string): boolean {
  const isSettled = sighting.status?.state !== 'port-taken' && sighting.status?.state !== 'stopping';
  return sighting.isAlive && isSettled && sighting.record.specDigest === specDigest;
}

async function sight(context: EngineContext, id: string): Promise<Sighting | undefined> {
  return (await sightKnown(context, id)) ?? (await sightAnywhere(context, id));
}

async function sightAnywhere(context: EngineContext, id: string): Promise<Sighting | undefined> {
  return (await sightAll(context, id))[0];
}

/**
 * One of which the directory says nothing. Where workloads have control groups, one that was started has its group for as
 * long as its supervisor lives: without a group and without a directory it is new, which spares a look at every process.
 */
async function sightLost(context: EngineContext, id: string): Promise<Sighting | undefined> {
  const isNew =
    context.hierarchies.length > 0 &&
    !(await hasStateDirectory(context.home, id)) &&
    !(await hasGroup(context.hierarchies, id));
  return isNew ? undefined : await sightAnywhere(context, id);
}

/** By what its directory says of its supervisor. Spares a look at every process there is; undefined when it cannot tell. */
async function sightKnown(context: EngineContext, id: string): Promise<Sighting | undefined> {
  const directory = stateDirectory(context.home, id);
  const env = await supervisorEnvironment(directory);
  if (env === 'nobody') return await sightStopped(context, id);
  const record = env?.BOUGH_INSTALLATION === context.installationId ? parseRecord(env) : undefined;
  if (record?.id !== id) return undefined;
  return { record, isAlive: true, status: await readStatus(directory) };
}

/** Of one that is known not to run. */
async function sightStopped(context: EngineContext, id: string): Promise<Sighting | undefined> {
  const directory = stateDirectory(context.home, id);
  const record = await readRecord(directory);
  if (record?.labels.installationId !== context.installationId) return undefined;
  return { record, isAlive: false, status: await readStatus(directory) };
}

async function sightAll(context: EngineContext, only?: string): Promise<Sighting[]> {
  const living = await livingRecords(context);
  const onDisk = only === undefined ? await listStateDirectories(context.home) : [only];
  const ids = new Set(only === undefined ? [...living.keys(), ...onDisk] : [only]);
  const sightings = await Promise.all(
    [...ids].map(async (id) => {
      const directory = stateDirectory(context.home, id);
      const record = living.get(id) ?? (await readRecord(directory));
      if (record?.labels.installationId !== context.installationId) return undefined;
      return { record, isAlive: living.has(id), status: await readStatus(directory) };
    }),
  );
  return sightings.filter((sighting) => sighting !== undefined);
}

async function livingRecords(context: EngineContext): Promise<Map<string, WorkloadRecord>> {
  const rows = await labelledProcesses(await readProcessTable(), installationMarker(context.installationId));
  const supervisors = rows.filter(
    (row) => row.env.BOUGH_STATE !== undefined && !rows.some((other) => other.pid === row.parent),
  );
  const records = supervisors.map((row) => parseRecord(row.env)).filter((record) => record !== undefined);
  return new Map(records.map((record) => [record.id, record]));
}

function describe({ record, isAlive, status }: Sighting): Workload {
  return {
    id: record.id,
    labels: record.labels,
    state: stateOf(isAlive, status),
    ...(record.port === undefined ? {} : { address: { host: '127.0.0.1', port: record.port } }),
    restarts: status?.restarts ?? 0,
    ...(status?.exitCode === undefined ? {} : { lastExitCode: status.exitCode }),
    ...(status?.startedAt === undefined ? {} : { startedAt: status.startedAt }),
    specDigest: record.specDigest,
  };
}

/** One whose port a stranger has counts as stopped: only `ensure`, which gives it another port, helps. */
function stateOf(isAlive: boolean, status: SupervisorStatus | undefined): Workload['state'] {
  if (!isAlive) return 'stopped';
  switch (status?.state) {
    case 'port-taken':
    case 'stopping':
    case 'stopped':
      return 'stopped';
    case 'restarting':
      return 'restarting';
    default:
      return 'running';
  }
}

async function stop(
  context: EngineContext,
  record: Pick<WorkloadRecord, 'id' | 'stopSignal' | 'stopGraceMs'>,
  abort?: AbortSignal,
): Promise<void> {
  await markStopping(stateDirectory(context.home, record.id));
  await stopLabelled({
    marker: installationMarker(context.installationId),
    belongs: (env) => env.BOUGH_WORKLOAD === record.id,
    signal: record.stopSignal,
    graceMs: record.stopGraceMs,
    abort,
  });
}

/** The port that it had, unless somebody else has taken it meanwhile. */
async function choosePort(
  { context, ports }: WorkloadHost,
  id: string,
  before: Sighting | undefined,
): Promise<number> {
  const wanted = before?.record.port;
  const port = await ports.reserve(id, wanted === undefined ? {} : { wanted });
  if (!(await isListening(port))) return port;
  await ports.release(id);
  const other = await ports.reserve(id, { avoid: port });
  context.log.warn(
    { workload: id, taken: port, port: other },
    'port is taken by another process on this machine, another one is used',
  );
  return other;
}

interface Prepared {
  readonly app: string | undefined;
  readonly env: Record<string, string>;
  readonly shown: string[];
}

/** Everything that can be refused is refused here, before what runs is touched. */
async function prepare(host: WorkloadHost, spec: WorkloadSpec, signal?: AbortSignal): Promise<Prepared> {
  const { context, shelf } = host;
  if (spec.labels.installationId !== context.installationId) throw foreign(spec);
  if (spec.seclusion?.network === 'public') throw noEgress(spec);
  await findBubblewrap(context);
  const toolchains = await resolveToolchains(context.toolchain, spec.toolchains, signal);
  const app = spec.artifact === undefined ? undefined : await shelf.open(spec.artifact);
  await prepareMounts(app, spec.mounts);
  return { app, env: insideVariables(toolchains, spec.env), shown: shownRoots(toolchains, context.home) };
}

interface Start {
  readonly spec: WorkloadSpec;
  readonly record: WorkloadRecord;
  readonly prepared: Prepared;
}

async function start({ context }: WorkloadHost, { spec, record, prepared }: Start): Promise<void> {
  const directory = stateDirectory(context.home, spec.id);
  const stage = join(directory, 'stage');
  const memoryBytes = temporaryBytes(spec.limits);
  await removeGroup(context.hierarchies, spec.id);
  const limits = withSandboxProcesses(spec.limits, spec.seclusion !== undefined);
  const [group] = await Promise.all([
    createGroup(context.hierarchies, spec.id, limits),
    stageFiles(stage, { hosts: spec.hosts, command: workloadScript(context, spec) }),
  ]);
  const door = spec.seclusion && (await makeDoor(stage, doorOf(spec, spec.seclusion, record.port)));
  const sandbox: SandboxSpec = {
    ...{
      base: context.base,
      stage,
      shown: prepared.shown,
      mounts: spec.mounts,
      sharedMemoryBytes: memoryBytes,
    },
    env: record.port === undefined ? prepared.env : { ...prepared.env, PORT: String(record.port) },
    app: prepared.app === undefined ? undefined : { source: prepared.app, writable: false },
    home: { memoryBytes },
    temporary: { memoryBytes },
  };
  const args = sandboxArguments(behind(door, sandbox));
  const bubblewrap = await findBubblewrap(context);
  await startSupervisor({ directory, record, args, bubblewrap, group, door, logBytes: context.logBytes });
}

const diskLookMs = 2_000;

function doorOf(spec: WorkloadSpec, seclusion: Seclusion, listen: number | undefined): DoorSpec {
  const paths = spec.mounts.map(({ source }) => source);
  return {
    ...{ listen, peers: seclusion.peers, egress: false },
    disk: { bytes: seclusion.diskBytes, paths, everyMs: diskLookMs },
  };
}

/**
 * The stop signal goes to the shell and to what it runs. Without the traps the shell would die first, and the PID
 * namespace, and so the application, with it; with them it waits for its child and then exits.
 */
function workloadScript(context: EngineContext, spec: WorkloadSpec): string {
  const traps = "trap 'exit 143' TERM\ntrap 'exit 130' INT\ntrap 'exit 131' QUIT\n";
  return `${limitLines(context, spec)}${traps}${spec.command}\n`;
}

/** Part of a file name. */
export function checkedId(id: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(id)) return id;
  throw new BoughError({
    code: 'workload-id-invalid',
    message: `"${id.slice(0, 80)}" cannot be the id of a workload.`,
    hint: 'Make it with workloadId of @bough/domain/names.',
  });
}

function foreign(spec: WorkloadSpec): BoughError {
  return new BoughError({
    code: 'installation-mismatch',
    message: `The workload ${spec.id} is of installation ${spec.labels.installationId}, not of this one.`,
    hint: 'Start Bough with the BOUGH_HOME and the database that belong together.',
  });
}

/** The way out lives in the process that runs a build; a workload outlives it. */
function noEgress(spec: WorkloadSpec): BoughError {
  return new BoughError({
    code: 'egress-unsupported',
    message: `The workload ${spec.id} is secluded and cannot have a way out to the internet.`,
    hint: 'Only builds and one-off commands can.',
  });
}

function vanished(id: string): BoughError {
  return new BoughError({
    code: 'workload-not-started',
    message: `The workload ${id} was gone as soon as it was started.`,
    hint: 'Somebody else removed it in the same moment; redeploy.',
    retryable: true,
  });
}
