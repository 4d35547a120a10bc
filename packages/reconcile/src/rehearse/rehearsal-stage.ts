import { volumeId, workloadId } from '@bough/domain/names';
import type { Mount, Seclusion } from '@bough/engine/engine';
import type { PlannedMount, PlannedService } from '@bough/manifest/plan';
import type { Credentials } from '@bough/service/service';
import type { Volume } from '@bough/storage/storage';
import type { AttestedSnapshot } from '../data/attestation.ts';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import {
  declarationOf,
  type InheritedCredentials,
  type RunningService,
  startService,
} from '../deploy/services.ts';
import { untilReady } from '../probe.ts';
import { secretsOf } from '../service-credentials.ts';

/** The code is trusted, its disk is not what is at stake: what a clone of production's mounts can hold, and more. */
const diskBytesMax = 1024 ** 4;

/** Fresh clones of production's data with servers on them, for one rehearsal and nothing else. */
export interface RehearsalStage {
  readonly services: readonly StagedService[];
  readonly mounts: (mounts: readonly PlannedMount[]) => Promise<Mount[]>;
  /** Of something else that runs on this stage. */
  readonly idOf: (name: string) => string;
  remove(): Promise<void>;
}

export interface StagedService extends RunningService {
  readonly workloadId: string;
  /** False: it has no data of production in it, so nothing that is measured on it means anything. */
  readonly isCloned: boolean;
}

/**
 * Starts each service of the plan on a volume of its own. `name` tells stages of one rehearsal apart. Servers get
 * credentials that nobody keeps.
 */
export async function openRehearsalStage(
  run: PlannedRun,
  of: { name: string; golden: AttestedSnapshot; inherited: InheritedCredentials },
  voice: StepVoice,
): Promise<RehearsalStage> {
  const stage: Stage = { run, ...of, voice };
  const from = performance.now();
  const services: StagedService[] = [];
  for (const planned of run.plan.common.services) services.push(await startOn(stage, planned));
  voice.line(`${of.name}: services answer after ${Math.round(performance.now() - from)} ms`);
  return {
    services,
    mounts: (mounts) =>
      Promise.all(
        mounts.map(async (mount) => ({
          source: (await ensureVolume(stage, `mount:${mount.volume}`)).path,
          at: `/app/${mount.path}`,
        })),
      ),
    idOf: (name) => workloadIdOf(stage, name),
    async remove() {
      for (const { workloadId: id } of services) await run.context.engine.remove(id);
    },
  };
}

/** Nothing on a stage reaches anything but the stage's services: no mail is sent, no hook of a customer is called. */
export function seclusionOf(stage: RehearsalStage): Seclusion {
  return {
    peers: stage.services.map(({ address }) => address.port),
    network: 'none',
    diskBytes: diskBytesMax,
  };
}

/** Everything that rehearsals of this environment made, whether this one or one that a crash cut off. */
export async function removeRehearsal(run: Pick<PlannedRun, 'context' | 'environment'>): Promise<void> {
  const { context, environment } = run;
  const workloads = await context.engine.list({ environmentId: environment.id });
  const mine = workloads.filter(({ labels }) => labels.role === 'rehearsal');
  await Promise.all(mine.map(({ id }) => context.engine.remove(id)));
  for (const { id, labels } of await context.storage.list()) {
    if (labels.kind !== 'rehearsal' || labels.environmentId !== environment.id) continue;
    if (labels.installationId === context.installationId) await context.storage.remove(id);
  }
}

interface Stage {
  readonly run: PlannedRun;
  readonly name: string;
  readonly golden: AttestedSnapshot;
  readonly inherited: InheritedCredentials;
  readonly voice: StepVoice;
}

function workloadIdOf({ run, name: stage }: Stage, name: string): string {
  return workloadId({
    installationId: run.context.installationId,
    environmentId: run.environment.id,
    name: `rehearsal ${stage} ${name}`,
  });
}

/** A clone where the golden has one under that name (`service:db`, `mount:app:uploads`), else an empty one. */
function ensureVolume({ run, name: stage, golden }: Stage, name: string): Promise<Volume> {
  const { context, environment } = run;
  const source = golden.facts.volumes[name];
  const labelled = `rehearsal:${stage}:${name}`;
  return context.storage.ensure({
    id: volumeId({
      installationId: context.installationId,
      environmentId: environment.id,
      name: labelled,
    }),
    labels: {
      installationId: context.installationId,
      environmentId: environment.id,
      name: labelled,
      kind: 'rehearsal',
    },
    ...(source === undefined ? {} : { from: source.snapshotId }),
  });
}

async function startOn(stage: Stage, planned: PlannedService): Promise<StagedService> {
  const { run, golden, voice } = stage;
  const { context, lock } = run;
  lock.signal.throwIfAborted();
  const service = context.service(planned.type);
  const declaration = declarationOf(planned);
  const credentials = service.credentials(declaration);
  for (const secret of secretsOf(credentials)) run.secrets.add(secret);
  const source = golden.facts.volumes[`service:${planned.name}`];
  const isCloned = source?.type === `${planned.type}:${planned.version}`;
  const isKept = service.persistent(planned.type) || (isCloned && service.keyed !== undefined);
  const volume = isKept
    ? await ensureVolume(stage, isCloned ? `service:${planned.name}` : `empty:${planned.name}`)
    : null;
  const started = await startService(run, {
    ...{ service, declaration, credentials, volume, mode: 'preview', voice },
    ...{ workloadName: `rehearsal ${stage.name} ${planned.name}`, role: 'rehearsal' },
  });
  const patience = {
    clock: context.clock,
    timeoutMs: context.deadlines.serviceMs,
    signal: lock.signal,
    onTimeout: (cause: unknown) => (cause instanceof Error ? cause : new Error(String(cause))),
  };
  const before: Credentials | undefined = stage.inherited[planned.name];
  const { cloning } = service;
  const { address } = started;
  let version: string;
  if (isCloned && before !== undefined && cloning !== undefined) {
    const adopt = (signal: AbortSignal) =>
      cloning.adopt(declaration, address, { from: before, to: credentials, signal });
    ({ version } = await untilReady(adopt, patience));
  } else {
    ({ version } = await untilReady((signal) => service.ready(address, credentials, signal), patience));
    await service.provision(declaration, address, credentials);
  }
  return {
    ...{ declaration, service, credentials, version, volume, isCloned },
    address,
    endpoints: service.endpoints(declaration, credentials),
    workloadId: started.workload.id,
  };
}
