import { BoughError } from '@bough/domain/bough-error';
import { captureId } from '@bough/domain/names';
import { Secret } from '@bough/domain/secret';
import type { DataPolicy } from '@bough/manifest/manifest';
import type { PlannedService } from '@bough/manifest/plan';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { sanitizeLabel } from '@bough/sanitize/policy-digest';
import type { Credentials } from '@bough/service/service';
import type { Snapshot, SnapshotHooks, Volume } from '@bough/storage/storage';
import type { Encryption } from '@bough/store/encryption';
import {
  advanceSnapshot,
  type CaptureFailure,
  failSnapshot,
  freezeSnapshot,
  insertSnapshot,
  type SnapshotRow,
  type SnapshotVolume,
} from '@bough/store/snapshots';
import { z } from 'zod';
import { copyRunning } from '../deploy/copy-running.ts';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import { credentialsOf, declarationOf, serviceVolumeId, serviceWorkloadId } from '../deploy/services.ts';
import { mountVolumeId } from '../deploy/surroundings.ts';
import { readCredentials, writeCredentials } from '../service-credentials.ts';
import { attest } from './attestation.ts';
import {
  canSanitize,
  holdUp,
  isMaskedAnew,
  keepsMount,
  type MaskingFacts,
  proveFiles,
  refuseUnusedRules,
  sanitizeService,
} from './sanitize-capture.ts';
import { type PrivateService, startPrivate } from './start-private.ts';

const StoredCredentials = z.record(z.string(), z.string());

/**
 * Capture → masked, scrubbed, verified → cleanly stopped → frozen: a golden snapshot of the running parent, which keeps
 * serving. Under `sanitize: none` the masking is left out. What a preview starts from is always this, never the parent itself: a clean copy starts in tens of milliseconds, while the copy of
 * something running must first recover (reference/data.md §1.2).
 *
 * `parent` is a run of the parent's serving release, made only to be read from. Throws after having removed whatever
 * it made; a crash leaves things that carry the label `capture`, which resync reaps.
 */
export async function captureGolden(
  parent: PlannedRun,
  policy: { sanitize: DataPolicy['sanitize']; commit: string },
  voice: StepVoice,
): Promise<SnapshotRow> {
  const { context, environment } = parent;
  const row = await insertSnapshot(context.pool, {
    environmentId: environment.id,
    sanitize: sanitizeLabel(policy.sanitize),
    policyCommit: policy.commit,
    sourceCommit: parent.commit,
  });
  const rules = policy.sanitize === 'none' ? null : { policy: policy.sanitize, used: new Set<string>() };
  const made: Snapshot[] = [];
  try {
    const capturedAt = context.clock.now();
    const volumes: Record<string, SnapshotVolume> = {};
    const inherited: Record<string, string> = {};
    const masking: Record<string, MaskingFacts> = {};
    for (const planned of parent.plan.common.services) {
      if (rules !== null && !canSanitize(planned.type)) {
        voice.line(`${planned.name}: ${planned.type} cannot be sanitized, so previews start it empty`);
        continue;
      }
      const captured = await captureService(parent, row.id, planned, rules, voice);
      if (captured === undefined) continue;
      made.push(captured.snapshot);
      volumes[`service:${planned.name}`] = {
        snapshotId: captured.snapshot.id,
        type: `${planned.type}:${planned.version}`,
        version: captured.version,
      };
      inherited[planned.name] = writeCredentials(captured.credentials);
      if (captured.masking !== null) masking[planned.name] = captured.masking;
    }
    if (rules !== null) {
      refuseUnusedRules(rules.policy, rules.used, voice);
      await advanceSnapshot(context.pool, row.id, 'verified');
    }
    for (const volume of mountVolumes(parent)) {
      if (rules !== null && !keepsMount(rules.policy, volume)) {
        voice.line(`${volume}: the data policy does not keep it, so previews start it empty`);
        continue;
      }
      const snapshot = await captureMount(parent, row.id, volume);
      made.push(snapshot);
      volumes[`mount:${volume}`] = { snapshotId: snapshot.id, type: 'mount', version: null };
    }
    const attestation = attest(context.signingKey, {
      snapshotId: row.id,
      environmentId: environment.id,
      projectId: parent.project.id,
      sanitize: row.sanitize,
      policyCommit: policy.commit,
      ...(rules === null ? {} : { masking }),
      volumes,
      capturedAt: capturedAt.toISOString(),
    });
    const frozen = {
      volumes,
      credentialsEncrypted: context.encryption.encrypt(
        new Secret(JSON.stringify(inherited)),
        `snapshot:${row.id}`,
      ),
      attestation,
      sizeBytes: made.reduce((sum, snapshot) => sum + snapshot.sizeBytes, 0),
      capturedAt,
    };
    if (!(await freezeSnapshot(context.pool, row.id, frozen))) throw givenUp();
    return {
      ...row,
      ...frozen,
      state: 'frozen',
      sizeBytes: String(frozen.sizeBytes),
      frozenAt: context.clock.now(),
    };
  } catch (error) {
    for (const snapshot of made) await context.storage.removeSnapshot(snapshot.id);
    await failSnapshot(context.pool, row.id, failureOf(error));
    throw error;
  }
}

/** Its own lock was lost for a while, and resync took it for dead. */
function givenUp(): BoughError {
  return new BoughError({
    code: 'capture-given-up',
    message: 'The capture was taken for dead while it ran, and its parts were removed.',
    hint: 'Bough tries again; the previous golden snapshot stays in use.',
    retryable: true,
  });
}

function failureOf(error: unknown): CaptureFailure {
  if (error instanceof BoughError)
    return { code: error.code, message: error.message, hint: error.hint ?? null };
  return {
    code: 'capture-failed',
    message: `The capture failed: ${error instanceof Error ? error.message : String(error)}`,
    hint: null,
  };
}

/** While the parent is in backup mode. */
function heldUpInside(parent: PlannedRun, hooks: SnapshotHooks | undefined): SnapshotHooks | undefined {
  if (hooks === undefined) return undefined;
  return {
    ...hooks,
    begin: async () => {
      await hooks.begin?.();
      await holdUp(parent, 'backup');
    },
  };
}

/** The passwords that a golden's files carry: every clone replaces them before anything else happens. */
export function goldenCredentials(encryption: Encryption, row: SnapshotRow): Record<string, Credentials> {
  if (row.credentialsEncrypted === null) return {};
  const text = encryption.decrypt(row.credentialsEncrypted, `snapshot:${row.id}`).reveal();
  const stored = StoredCredentials.parse(JSON.parse(text));
  return Object.fromEntries(Object.entries(stored).map(([name, sealed]) => [name, readCredentials(sealed)]));
}

/** Undefined for services whose data is not cloned (Redis starts empty in a preview). */
async function captureService(
  parent: PlannedRun,
  snapshotRowId: string,
  planned: PlannedService,
  rules: { policy: SanitizePolicy; used: Set<string> } | null,
  voice: StepVoice,
): Promise<
  { snapshot: Snapshot; version: string; credentials: Credentials; masking: MaskingFacts | null } | undefined
> {
  const { context, environment, lock } = parent;
  const service = context.service(planned.type);
  const { cloning } = service;
  if (cloning === undefined || !service.persistent(planned.type)) return undefined;
  const declaration = declarationOf(planned);
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
  const name = `s${snapshotRowId}-${planned.name}`;
  const labels = {
    installationId: context.installationId,
    environmentId: environment.id,
    name: `capture:${planned.name}`,
    kind: 'capture' as const,
  };
  const idOf = (stage: 'raw' | 'volume' | 'masked' | 'golden') =>
    captureId({
      installationId: context.installationId,
      snapshotId: snapshotRowId,
      name: `service:${planned.name}`,
      stage,
    });
  const ids = { raw: idOf('raw'), volume: idOf('volume'), masked: idOf('masked'), golden: idOf('golden') };
  const running: PrivateService[] = [];
  const startOn = async (volume: Volume, login: Credentials, workloadName: string) => {
    const what = { service, declaration, credentials: login, volume, workloadName, voice };
    const started = await startPrivate(parent, what);
    running.push(started);
    return started;
  };
  try {
    const from = Date.now();
    await context.storage.snapshot(
      serviceVolumeId(parent, planned.name),
      { id: ids.raw, labels },
      heldUpInside(
        parent,
        copyRunning(parent, { service, declaration, address: source.address, credentials }),
      ),
    );
    voice.line(
      `${planned.name}: captured in ${Date.now() - from} ms (${context.storage.kind}) while it serves`,
    );
    lock.signal.throwIfAborted();
    const volume = await context.storage.ensure({ id: ids.volume, labels, from: ids.raw });
    await cloning.defang(volume.path);
    const own = service.credentials(declaration);
    // The program starts with the parent's password in its files; `claim` gives it one that only goldens have.
    const started = await startOn(volume, credentials, `capture ${name}`);
    await holdUp(parent, 'capture');
    await cloning.claim(started.address, credentials, own);
    const { version } = await service.ready(started.address, own, lock.signal);
    await advanceSnapshot(context.pool, snapshotRowId, 'captured');
    const isNew = rules !== null && isMaskedAnew(planned.type);
    const golden = isNew ? await context.storage.ensure({ id: ids.masked, labels }) : volume;
    const into = isNew ? await startOn(golden, own, `capture ${name} masked`) : undefined;
    if (into !== undefined) await service.provision(declaration, into.address, own);
    const masked =
      rules === null
        ? null
        : await sanitizeService(parent, {
            ...rules,
            name: planned.name,
            address: started.address,
            into: into?.address,
            credentials: own,
            voice,
          });
    // Here, once, so that no clone has to: masking may have made views anew, without the rights of endpoints.
    if (into === undefined) await service.provision(declaration, started.address, own);
    for (const server of running) await server.stop();
    if (masked !== null) await advanceSnapshot(context.pool, snapshotRowId, 'sanitized');
    const masking =
      masked === null
        ? null
        : await proveFiles(parent, { name: planned.name, path: golden.path, sanitized: masked, voice });
    const snapshot = await context.storage.snapshot(golden.id, { id: ids.golden, labels });
    await holdUp(parent, 'freezing');
    voice.line(`${planned.name}: cleanly stopped and frozen after ${Date.now() - from} ms`);
    return { snapshot, version, credentials: own, masking };
  } finally {
    for (const server of running) await server.stop();
    await context.storage.remove(ids.volume);
    await context.storage.remove(ids.masked);
    await context.storage.removeSnapshot(ids.raw);
  }
}

/** Volumes of file mounts, each once. */
export function mountVolumes(parent: PlannedRun): string[] {
  const volumes = parent.plan.common.apps.flatMap((app) =>
    [...app.mounts, ...app.workers.flatMap((worker) => worker.mounts)]
      .filter((mount) => mount.source === 'storage')
      .map((mount) => mount.volume),
  );
  return [...new Set(volumes)];
}

function captureMount(parent: PlannedRun, snapshotRowId: string, volume: string): Promise<Snapshot> {
  const { context, environment } = parent;
  return context.storage.snapshot(mountVolumeId(parent, volume), {
    id: captureId({
      installationId: context.installationId,
      snapshotId: snapshotRowId,
      name: `mount:${volume}`,
      stage: 'golden',
    }),
    labels: {
      installationId: context.installationId,
      environmentId: environment.id,
      name: `capture:mount:${volume}`,
      kind: 'capture' as const,
    },
  });
}
