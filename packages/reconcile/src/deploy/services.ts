import { BoughError } from '@bough/domain/bough-error';
import type { Environment } from '@bough/domain/environment';
import { epochSuffix, volumeId, workloadId } from '@bough/domain/names';
import { Secret } from '@bough/domain/secret';
import type { Workload } from '@bough/engine/engine';
import type { PlannedService } from '@bough/manifest/plan';
import { completeCredentials } from '@bough/service/complete-credentials';
import type {
  Address,
  Credentials,
  Endpoint,
  Service,
  ServiceDeclaration,
  ServiceMode,
} from '@bough/service/service';
import type { Volume } from '@bough/storage/storage';
import { ensureCredential, writeCredential } from '@bough/store/credentials';
import type { Context } from '../context.ts';
import { untilReady } from '../probe.ts';
import { readCredentials, secretsOf, writeCredentials } from '../service-credentials.ts';
import { secludedWith } from '../trust/untrusted-tier.ts';
import type { CaptureRun, DeploymentRun, PlannedRun, StepVoice } from './run.ts';

/** A service that answers. */
export interface RunningService {
  readonly declaration: ServiceDeclaration;
  readonly service: Service;
  readonly credentials: Credentials;
  readonly address: Address;
  /** As the server itself says it. */
  readonly version: string;
  readonly endpoints: Readonly<Record<string, Endpoint>>;
  readonly volume: Volume | null;
}

/** Credentials that the copied files still carry, by service: they are replaced at the first start. */
export type InheritedCredentials = Readonly<Record<string, Credentials>>;

/** Starts each service of the plan, or leaves it alone where nothing about it changed. */
export async function ensureServices(
  run: PlannedRun,
  inherited: InheritedCredentials,
  voice: StepVoice,
  /** Their databases and roles are there already, as far as a volume keeps them. */
  { areProvisioned }: { areProvisioned: boolean } = { areProvisioned: false },
): Promise<RunningService[]> {
  for (const planned of run.plan.common.services) await refuseOtherFiles(run, planned);
  const running = await Promise.all(
    run.plan.common.services.map((planned) =>
      ensureService(run, planned, { inherited: inherited[planned.name], areProvisioned }, voice),
    ),
  );
  await voice.note(
    running
      .map((service) => `${service.declaration.name} ${service.declaration.type} ${service.version}`)
      .join(', '),
  );
  return running;
}

/** Before anything is stopped: what serves now must not be replaced by a server that cannot read its files. */
async function refuseOtherFiles(run: PlannedRun, planned: PlannedService): Promise<void> {
  const service = run.context.service(planned.type);
  const volume = await run.context.storage.observe(serviceVolumeId(run, planned.name));
  if (service.unreadable === undefined || volume === undefined) return;
  const found = await service.unreadable(declarationOf(planned), volume.path);
  if (found === undefined) return;
  const what = `service "${planned.name}"`;
  throw new BoughError({
    code: 'service-version-changed',
    message: `The manifest asks for ${planned.type}:${planned.version}, and ${what} of this environment holds the files of version ${found}, which ${planned.version} cannot read. Nothing was stopped.`,
    hint:
      run.environment.kind === 'production'
        ? `Keep ${planned.type}:${found}, or declare a further service with the new version, move the data with a dump, and then drop the old one.`
        : `Keep ${planned.type}:${found}, or comment \`/bough delete\` and then \`/bough redeploy\`: the preview starts again, with an empty ${planned.version}.`,
  });
}

export function serviceVolumeId(
  run: { context: Context; environment: Pick<Environment, 'id' | 'dataEpoch'> },
  name: string,
): string {
  return volumeId({
    installationId: run.context.installationId,
    environmentId: run.environment.id,
    name: serviceVolumeName(run.environment, name),
  });
}

/** As it is in the labels of the volume. */
export function serviceVolumeName({ dataEpoch }: Pick<Environment, 'dataEpoch'>, name: string): string {
  return `service:${name}${epochSuffix(dataEpoch)}`;
}

export function serviceWorkloadId(
  run: { context: Context; environment: Pick<Environment, 'id' | 'dataEpoch'> },
  name: string,
): string {
  return workloadId({
    installationId: run.context.installationId,
    environmentId: run.environment.id,
    name: `service ${name}${epochSuffix(run.environment.dataEpoch)}`,
  });
}

export function declarationOf(planned: PlannedService): ServiceDeclaration {
  return {
    name: planned.name,
    type: planned.type,
    version: planned.version,
    configuration: planned.configuration,
  };
}

/** The environment's own credentials of a service: made once, sealed in the store. */
export async function credentialsOf(
  run: Pick<CaptureRun, 'context' | 'environment' | 'secrets'>,
  declaration: ServiceDeclaration,
): Promise<Credentials> {
  const { context, environment } = run;
  const credential = { environmentId: environment.id, name: `service:${declaration.name}` };
  const fresh = context.service(declaration.type).credentials(declaration);
  const text = await ensureCredential(
    context.pool,
    context.encryption,
    credential,
    () => new Secret(writeCredentials(fresh)),
  );
  const stored = readCredentials(text.reveal());
  // The manifest may have gained an endpoint since.
  const credentials = completeCredentials(stored, fresh);
  if (Object.keys(credentials.endpoints).length > Object.keys(stored.endpoints).length) {
    const value = new Secret(writeCredentials(credentials));
    await writeCredential(context.pool, context.encryption, { ...credential, value });
  }
  for (const secret of secretsOf(credentials)) run.secrets.add(secret);
  return credentials;
}

async function ensureService(
  run: PlannedRun,
  planned: PlannedService,
  found: { inherited: Credentials | undefined; areProvisioned: boolean },
  voice: StepVoice,
): Promise<RunningService> {
  const { inherited } = found;
  const { context, environment, lock } = run;
  const service = context.service(planned.type);
  const declaration = declarationOf(planned);
  const credentials = await credentialsOf(run, declaration);
  const volume = service.persistent(declaration.type)
    ? await context.storage.ensure({
        id: serviceVolumeId(run, declaration.name),
        labels: {
          installationId: context.installationId,
          environmentId: environment.id,
          name: serviceVolumeName(environment, declaration.name),
          kind: environment.kind,
        },
      })
    : await clonedVolume(run, service, planned.name);
  const started = await startService(run, {
    service,
    declaration,
    credentials,
    volume,
    mode: environment.kind,
    voice,
  });
  const { cloning } = service;
  const patience = {
    clock: context.clock,
    timeoutMs: context.deadlines.serviceMs,
    signal: lock.signal,
    onTimeout: (cause: unknown) => serviceNotReady(run, declaration, started.workload, cause),
  };
  const { address } = started;
  let version: string;
  if (inherited !== undefined && cloning !== undefined && volume?.from !== undefined) {
    const adopt = (signal: AbortSignal) =>
      cloning.adopt(declaration, address, { from: inherited, to: credentials, signal });
    ({ version } = await untilReady(adopt, patience));
  } else {
    ({ version } = await untilReady((signal) => service.ready(address, credentials, signal), patience));
    if (!found.areProvisioned || volume === null) await service.provision(declaration, address, credentials);
  }
  voice.line(`${declaration.name}: ${declaration.type} ${version} answers on port ${address.port}`);
  return {
    declaration,
    service,
    credentials,
    address,
    version,
    endpoints: service.endpoints(declaration, credentials),
    volume,
  };
}

/** A service that keeps nothing has a volume where it was cloned. */
async function clonedVolume(run: PlannedRun, service: Service, name: string): Promise<Volume | null> {
  if (service.keyed === undefined || run.environment.kind === 'production') return null;
  return (await run.context.storage.observe(serviceVolumeId(run, name))) ?? null;
}

/** Initialises the volume when it is fresh and starts the program; does not wait for it. */
export async function startService(
  run: Pick<CaptureRun, 'context' | 'environment' | 'lock'>,
  what: {
    service: Service;
    declaration: ServiceDeclaration;
    credentials: Credentials;
    volume: Volume | null;
    mode: ServiceMode;
    voice: StepVoice;
    workloadName?: string;
    role?: 'rehearsal';
  },
): Promise<{ address: Address; workload: Workload }> {
  const { context, environment, lock } = run;
  const { service, declaration, volume } = what;
  const program = service.program(declaration, what.credentials, what.mode, {
    hasVolume: volume !== null,
  });
  const labels = {
    installationId: context.installationId,
    environmentId: environment.id,
    role: what.role ?? (what.mode === 'capture' ? ('capture' as const) : ('service' as const)),
    name: what.workloadName ?? declaration.name,
  };
  const surroundings = {
    toolchains: [service.toolchain(declaration)],
    env: program.env,
    mounts: volume === null ? [] : [{ source: volume.path, at: '/data' }],
    hosts: {},
    limits: program.limits,
    ...secludedWith(run, []),
  };
  const id =
    what.workloadName === undefined
      ? serviceWorkloadId(run, declaration.name)
      : workloadId({
          installationId: context.installationId,
          environmentId: environment.id,
          name: what.workloadName,
        });
  // A clone brings its data directory along.
  const fresh = volume?.from === undefined;
  if (fresh && program.initialise !== undefined && (await context.engine.observe(id)) === undefined) {
    const result = await context.engine.run({
      ...surroundings,
      labels,
      command: program.initialise,
      timeoutMs: context.deadlines.serviceMs,
      signal: lock.signal,
      onOutput: (line) => what.voice.line(`${declaration.name}: ${line}`),
    });
    lock.signal.throwIfAborted();
    if (result.exitCode !== 0) {
      const what = `The data directory of service "${declaration.name}" could not be initialised`;
      throw new BoughError({
        code: 'service-initialise-failed',
        message: `${what}.`,
        hint: 'The last lines say why.',
        retryable: true,
        ...onFullDisk(result.tail, what),
        tail: result.tail,
      });
    }
  }
  const workload = await context.engine.ensure(
    {
      ...surroundings,
      id,
      labels,
      command: program.command,
      listens: true,
      stopSignal: program.stopSignal,
      stopGraceMs: program.stopGraceMs,
    },
    { signal: lock.signal },
  );
  if (workload.address === undefined) {
    throw new BoughError({
      code: 'service-without-address',
      message: `Service "${declaration.name}" was started without an address.`,
      retryable: true,
    });
  }
  return { address: workload.address, workload };
}

async function serviceNotReady(
  run: DeploymentRun,
  declaration: ServiceDeclaration,
  workload: Workload,
  cause: unknown,
): Promise<BoughError> {
  const what = `Service "${declaration.name}" (${declaration.type}:${declaration.version}) did not become ready in ${run.context.deadlines.serviceMs / 1000} s`;
  const tail = await lastLines(run, workload.id);
  return new BoughError({
    code: 'service-not-ready',
    message: `${what}.`,
    hint: 'Its last lines are below. Bough tries again by itself.',
    ...onFullDisk(tail, what),
    tail,
    retryable: true,
    cause,
  });
}

/** What a program says whose disk is full, in words for whoever can do something about it. */
function onFullDisk(
  tail: readonly string[],
  what: string,
): { code: string; message: string; hint: string } | undefined {
  if (!tail.some((line) => /No space left on device|Disk quota exceeded/.test(line))) return undefined;
  return {
    code: 'disk-full',
    message: `The disk with the volumes is full: ${what.charAt(0).toLowerCase()}${what.slice(1)}.`,
    hint: 'Free space on that disk, remove previews that nobody needs (bough env list), or use a larger disk. Bough tries again by itself.',
  };
}

export async function lastLines(run: Pick<DeploymentRun, 'context'>, id: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of run.context.engine.logs(id, { lines: 20 })) lines.push(line);
  return lines;
}

/**
 * Stops services that the plan no longer has, or that run on data that was replaced; only once its release serves, because
 * the one before still uses them and must be able to come back. A preview's volume of a dropped one goes with it, and before
 * the workload is forgotten: that is how the next look finds what a crash has left. Production's stays.
 */
export async function removeDroppedServices(run: PlannedRun): Promise<void> {
  const { context, environment } = run;
  const names = new Set(run.plan.common.services.map((service) => service.name));
  const wanted = new Set([...names].map((name) => serviceWorkloadId(run, name)));
  for (const workload of await context.engine.list({ environmentId: environment.id })) {
    const { role, name } = workload.labels;
    if (role !== 'service' || wanted.has(workload.id)) continue;
    if (environment.kind === 'preview' && !names.has(name)) {
      await context.engine.stop(workload.id);
      await context.storage.remove(serviceVolumeId(run, name));
    }
    await context.engine.remove(workload.id);
  }
}
