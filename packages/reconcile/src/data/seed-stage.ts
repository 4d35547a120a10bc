import { captureId } from '@bough/domain/names';
import type { Mount } from '@bough/engine/engine';
import type { PlannedApp, PlannedMount, PlannedService } from '@bough/manifest/plan';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import { declarationOf, type RunningService } from '../deploy/services.ts';
import { secretsOf } from '../service-credentials.ts';
import { labelsOfCapture, mountCapture } from './capture-together.ts';
import { type PrivateService, startPrivate } from './start-private.ts';

/** Empty private servers and volumes for one seed command. */
export interface SeedStage {
  readonly services: readonly RunningService[];
  find(service: string): RunningService;
  /** Volumes for the app's mounts: what is written there is nobody's data. */
  readonly mounts: (mounts: readonly PlannedMount[]) => Promise<Mount[]>;
  /** Stops the servers cleanly; their volumes stay until `remove`. */
  stop(): Promise<void>;
  /** Leaves nothing; may be called again. */
  remove(): Promise<void>;
}

/**
 * Starts the services to be filled, and every other one that the app has a relationship to, for code that wants its cache
 * before it seeds its database. The names of volumes and workloads are those of the capture, which starts its own later.
 */
export async function openSeedStage(
  parent: CaptureRun,
  of: { snapshotRowId: string; app: PlannedApp; names: readonly string[] },
  voice: StepVoice,
): Promise<SeedStage> {
  const { storage } = parent.context;
  const volumes: string[] = [];
  const servers: PrivateService[] = [];
  const services: RunningService[] = [];
  const stop = async () => {
    for (const server of servers) await server.stop();
  };
  const stage: SeedStage = {
    services,
    stop,
    find(name) {
      const found = services.find(({ declaration }) => declaration.name === name);
      if (found === undefined) throw new Error(`the stage of a seed has no service ${name}`);
      return found;
    },
    async mounts(mounts) {
      const ensured: Mount[] = [];
      for (const { volume, path } of mounts) {
        const spec = mountCapture(parent, { ...of, volume, stage: 'volume' });
        volumes.push(spec.id);
        ensured.push({ source: (await storage.ensure(spec)).path, at: `/app/${path}` });
      }
      return ensured;
    },
    async remove() {
      await stop();
      for (const id of volumes) await storage.remove(id);
    },
  };
  const related = of.app.relationships.map(({ target }) => target);
  try {
    for (const planned of parent.plan.common.services) {
      if (!of.names.includes(planned.name) && !related.includes(planned.name)) continue;
      volumes.push(volumeIdOf(parent, of.snapshotRowId, planned));
      services.push(await startEmpty(parent, { ...of, planned, servers, voice }));
    }
  } catch (error) {
    await stage.remove();
    throw error;
  }
  return stage;
}

/** The one that the capture of this service works on later: `ids.volume` of it. */
function volumeIdOf({ context }: CaptureRun, snapshotId: string, { name }: PlannedService): string {
  const { installationId } = context;
  return captureId({ installationId, snapshotId, name: `service:${name}`, stage: 'volume' });
}

async function startEmpty(
  parent: CaptureRun,
  of: { snapshotRowId: string; planned: PlannedService; servers: PrivateService[]; voice: StepVoice },
): Promise<RunningService> {
  const { context, lock } = parent;
  const { planned, voice } = of;
  lock.signal.throwIfAborted();
  const service = context.service(planned.type);
  const declaration = declarationOf(planned);
  const credentials = service.credentials(declaration);
  for (const secret of secretsOf(credentials)) parent.secrets.add(secret);
  const volume = await context.storage.ensure({
    id: volumeIdOf(parent, of.snapshotRowId, planned),
    labels: labelsOfCapture(parent, planned.name),
  });
  const workloadName = `capture s${of.snapshotRowId}-${planned.name}`;
  const started = await startPrivate(parent, {
    ...{ service, declaration, credentials, volume, workloadName, voice },
  });
  of.servers.push(started);
  const { address } = started;
  await service.provision(declaration, address, credentials);
  const { version } = await service.ready(address, credentials, lock.signal);
  const endpoints = service.endpoints(declaration, credentials);
  return { declaration, service, credentials, address, version, endpoints, volume };
}
