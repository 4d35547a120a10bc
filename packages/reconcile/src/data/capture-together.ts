import { BoughError } from '@bough/domain/bough-error';
import { captureId } from '@bough/domain/names';
import type { PlannedService } from '@bough/manifest/plan';
import type { Address, Cloning, Credentials, Service, ServiceDeclaration } from '@bough/service/service';
import type { Snapshot, SnapshotHooks, StorageLabels } from '@bough/storage/storage';
import { copyRunning } from '../deploy/copy-running.ts';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import { credentialsOf, declarationOf, serviceVolumeId, serviceWorkloadId } from '../deploy/services.ts';
import { mountVolumeId } from '../deploy/surroundings.ts';
import type { AttestedSpan } from './attestation.ts';
import { holdUp } from './sanitize-capture.ts';

type CaptureStage = 'raw' | 'volume' | 'masked' | 'golden';

/** A service whose data can be cloned, and the names of what its capture makes. */
export interface WantedService {
  readonly planned: PlannedService;
  readonly service: Service;
  readonly cloning: Cloning;
  readonly declaration: ServiceDeclaration;
  readonly labels: StorageLabels;
  readonly ids: Readonly<Record<CaptureStage, string>>;
}

/** The volume of a mount; `isMasked`: its files are not taken as they are. */
export interface WantedMount {
  readonly volume: string;
  readonly isMasked: boolean;
}

/** One of which there is a raw copy, `ids.raw`. */
export interface RawService extends WantedService {
  /** What its files let in. */
  readonly credentials: Credentials;
  /** Where its data is from if not from a production that runs here, in words. */
  readonly origin?: string;
}

/** One that runs and of which a raw copy was taken. */
export interface CapturedService extends RawService {
  readonly address: Address;
}

/** Everything that was taken of the parent, as of one time. */
export interface Together {
  readonly services: readonly CapturedService[];
  /** Volume of a mount → its snapshot: the golden one already, or a raw one whose files are masked next. */
  readonly mounts: ReadonlyMap<string, Snapshot>;
  readonly span: AttestedSpan;
}

/**
 * Takes raw copies of all services and mounts before anything else is done with any of them, side by side, so that what
 * belongs together is of one time: an order and its uploaded file. One volume is of one instant; of several it is said how
 * far apart the first and the last byte may be, because nobody holds their writers.
 *
 * Throws after having removed whatever it made.
 */
export async function captureTogether(
  parent: CaptureRun,
  snapshotRowId: string,
  wanted: {
    readonly services: readonly PlannedService[];
    readonly mounts: readonly WantedMount[];
    /** What is read from production by other means, key by key; it takes its time, and is of no instant. */
    readonly beside?: readonly (() => Promise<void>)[];
  },
  voice: StepVoice,
): Promise<Together> {
  const { context } = parent;
  const found = await Promise.all(
    wanted.services.map((planned) => findService(parent, snapshotRowId, planned)),
  );
  const services = found.filter((service) => service !== undefined);
  const startedAt = performance.now();
  const raws = services.map((captured) => copyService(parent, captured));
  const mounts = wanted.mounts.map((mount) => copyMount(parent, snapshotRowId, mount));
  const beside = (wanted.beside ?? []).map((copy) => copy());
  const [taken, besides] = await Promise.all([
    Promise.allSettled([...raws, ...mounts]),
    Promise.allSettled(beside),
  ]);
  const spreadMs = Math.round(performance.now() - startedAt);
  const failed = [...taken, ...besides].find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    for (const one of taken)
      if (one.status === 'fulfilled') await context.storage.removeSnapshot(one.value.id);
    throw failed.reason;
  }
  const copies = services.length + mounts.length + beside.length;
  // A service's own means make its copy one of an instant, also where the storage cannot.
  const isOne = copies <= 1 && beside.length === 0;
  const span = { instant: isOne && (context.storage.atomic || mounts.length === 0), spreadMs };
  if (copies > 0)
    voice.line(
      `${copies} volume(s) captured ${spanWords(span)} (${context.storage.kind}) while they are in use`,
    );
  return {
    services,
    mounts: new Map(
      await Promise.all(
        mounts.map(async (mount, index) => [wanted.mounts[index]?.volume ?? '', await mount] as const),
      ),
    ),
    span,
  };
}

/** `at one instant`, `within 41 ms of each other`. */
export function spanWords({ instant, spreadMs }: AttestedSpan): string {
  return instant ? 'at one instant' : `within ${spreadMs} ms of each other, not at one instant`;
}

async function findService(
  parent: CaptureRun,
  snapshotRowId: string,
  planned: PlannedService,
): Promise<CapturedService | undefined> {
  const wanted = wantService(parent, snapshotRowId, planned);
  if (wanted === undefined) return undefined;
  return { ...wanted, ...(await addressOfRunning(parent, planned, wanted.declaration)) };
}

/** Where a service of the parent answers, and as whom. */
export async function addressOfRunning(
  parent: CaptureRun,
  planned: PlannedService,
  declaration: ServiceDeclaration,
): Promise<{ credentials: Credentials; address: Address }> {
  const { context, environment } = parent;
  const credentials = await credentialsOf(parent, declaration);
  const source = await context.engine.observe(serviceWorkloadId(parent, planned.name));
  if (source?.address === undefined) {
    throw new BoughError({
      code: 'parent-not-running',
      message: `Data cannot be captured: service "${planned.name}" of ${environment.slug} does not run.`,
      hint: `Bring it back first: bough env redeploy ${environment.slug}`,
      retryable: true,
    });
  }
  return { credentials, address: source.address };
}

/** Undefined for services whose data is not cloned as it is (Redis: its keys, by rules, in capture-keys.ts). */
export function wantService(
  parent: CaptureRun,
  snapshotRowId: string,
  planned: PlannedService,
): WantedService | undefined {
  const { context } = parent;
  const service = context.service(planned.type);
  const { cloning } = service;
  if (cloning === undefined || !service.persistent(planned.type)) return undefined;
  const idOf = (stage: CaptureStage) =>
    captureId({
      installationId: context.installationId,
      snapshotId: snapshotRowId,
      name: `service:${planned.name}`,
      stage,
    });
  return {
    ...{ planned, service, cloning, declaration: declarationOf(planned) },
    labels: labelsOfCapture(parent, planned.name),
    ids: { raw: idOf('raw'), volume: idOf('volume'), masked: idOf('masked'), golden: idOf('golden') },
  };
}

function copyService(parent: CaptureRun, captured: CapturedService): Promise<Snapshot> {
  const hooks = heldUpInside(parent, copyRunning(parent, captured));
  const volume = serviceVolumeId(parent, captured.planned.name);
  return parent.context.storage.snapshot(volume, { id: captured.ids.raw, labels: captured.labels }, hooks);
}

function copyMount(
  parent: CaptureRun,
  snapshotRowId: string,
  { volume, isMasked }: WantedMount,
): Promise<Snapshot> {
  const spec = mountCapture(parent, { snapshotRowId, volume, stage: isMasked ? 'raw' : 'golden' });
  return parent.context.storage.snapshot(mountVolumeId(parent, volume), spec);
}

/** Name and labels of what a capture makes of a mount. */
export function mountCapture(
  parent: CaptureRun,
  of: { snapshotRowId: string; volume: string; stage: CaptureStage },
): { id: string; labels: StorageLabels } {
  const { installationId } = parent.context;
  const name = `mount:${of.volume}`;
  return {
    id: captureId({ installationId, snapshotId: of.snapshotRowId, name, stage: of.stage }),
    labels: labelsOfCapture(parent, name),
  };
}

export function labelsOfCapture({ context, environment }: CaptureRun, name: string): StorageLabels {
  return {
    installationId: context.installationId,
    environmentId: environment.id,
    name: `capture:${name}`,
    kind: 'capture',
  };
}

/** While the parent is in backup mode. */
function heldUpInside(parent: CaptureRun, hooks: SnapshotHooks | undefined): SnapshotHooks | undefined {
  if (hooks === undefined) return undefined;
  const { copy } = hooks;
  // A tool that copies by itself is in backup mode for as long as it runs.
  if (copy !== undefined)
    return {
      ...hooks,
      copy: async (paths) => void (await Promise.all([copy(paths), holdUp(parent, 'backup')])),
    };
  return {
    ...hooks,
    begin: async () => {
      await hooks.begin?.();
      await holdUp(parent, 'backup');
    },
  };
}
