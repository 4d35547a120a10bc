import { BoughError } from '@bough/domain/bough-error';
import type { FilesReport, KeysReport, ServiceReport } from '@bough/domain/data-report';
import { Secret } from '@bough/domain/secret';
import { canonicalDigest } from '@bough/manifest/canonical-json';
import type { DataPolicy, ServiceSource } from '@bough/manifest/manifest';
import type { PlannedService } from '@bough/manifest/plan';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { sourceDigest } from '@bough/manifest/source-digest';
import { keyRulesFor } from '@bough/sanitize/keys/key-rules';
import { sanitizeLabel } from '@bough/sanitize/policy-digest';
import type { Credentials } from '@bough/service/service';
import type { Snapshot, Volume } from '@bough/storage/storage';
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
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import { readCredentials, writeCredentials } from '../service-credentials.ts';
import { type AttestedFacts, attest } from './attestation.ts';
import { type KeysCapture, openKeys, refuseUnknownKeyServices, wantedKeys } from './capture-keys.ts';
import {
  type CapturedService,
  captureTogether,
  type WantedMount,
  type WantedService,
  wantService,
} from './capture-together.ts';
import { dataReport, maskingFacts, type ProvedService, serviceReport } from './data-report.ts';
import { loadSource } from './load-source.ts';
import { maskMount } from './mask-mount.ts';
import {
  canSanitize,
  holdUp,
  isMaskedAnew,
  type MaskingFacts,
  mountRuleOf,
  proveFiles,
  refuseUndecidedMounts,
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
  parent: CaptureRun,
  policy: Pick<DataPolicy, 'sanitize'> &
    Partial<Pick<DataPolicy, 'source'>> & {
      commit: string;
      isElsewhere?: boolean;
      /** Who or what asked for it, for the report. */
      why: string;
    },
  voice: StepVoice,
): Promise<SnapshotRow> {
  const { context, environment } = parent;
  const row = await insertSnapshot(context.pool, {
    ...(policy.isElsewhere === true
      ? { environmentId: null, projectId: parent.project.id }
      : { environmentId: environment.id }),
    sanitize: sanitizeLabel(policy.sanitize),
    policyCommit: policy.commit,
    sourceCommit: parent.commit,
    ...{ why: policy.why, sourceDigest: sourceDigest(policy.source ?? {}) },
  });
  const rules = policy.sanitize === 'none' ? null : { policy: policy.sanitize, used: new Set<string>() };
  const made: Snapshot[] = [];
  const raws: string[] = [];
  const keyed: KeysCapture[] = [];
  try {
    const capturedAt = context.clock.now();
    const volumes: Record<string, SnapshotVolume> = {};
    const inherited: Record<string, string> = {};
    const masking: Record<string, MaskingFacts> = {};
    const services: Record<string, ServiceReport> = {};
    const origins: Record<string, string> = {};
    const isElsewhere = policy.isElsewhere === true;
    // Of a production elsewhere no files are taken.
    if (rules !== null && !isElsewhere) refuseUndecidedMounts(rules.policy, mountVolumes(parent), voice);
    const wanted = wantedOf(parent, rules, voice);
    const sources = policy.source ?? {};
    if (rules !== null) refuseUnknownKeyServices(parent, rules.policy, voice);
    for (const one of wantedKeys(parent, rules?.policy ?? null)) {
      const { name } = one.planned;
      if (!isElsewhere && sources[name] === undefined)
        keyed.push(await openKeys(parent, { snapshotRowId: row.id, wanted: one, voice }));
      else
        voice.line(`${name}: keys are copied only of a production that runs here; previews start it empty`);
    }
    const running = wanted.services.filter(({ name }) => sources[name] === undefined);
    // What runs elsewhere has only what its sources name.
    const here = isElsewhere
      ? { services: [], mounts: [] }
      : { ...wanted, services: running, beside: keyed.map(({ copy }) => copy) };
    const taken = await captureTogether(parent, row.id, here, voice);
    const loaded = wanted.services.flatMap((planned) => {
      const source = sources[planned.name];
      const service = source && wantService(parent, row.id, planned);
      return source === undefined || service === undefined ? [] : [{ ...service, source }];
    });
    raws.push(...taken.services.map(({ ids }) => ids.raw));
    const files: Record<string, FilesReport> = {};
    const keys: Record<string, KeysReport> = {};
    raws.push(...[...taken.mounts.values()].map(({ id }) => id));
    for (const capture of keyed) {
      const { planned } = capture;
      const { snapshot, version, report } = await capture.freeze();
      made.push(snapshot);
      volumes[`service:${planned.name}`] = {
        ...{ snapshotId: snapshot.id, type: `${planned.type}:${planned.version}`, version },
      };
      keys[planned.name] = report;
    }
    for (const [volume, captured] of taken.mounts) {
      const masked = await maskMount(parent, {
        snapshotRowId: row.id,
        volume,
        taken: captured,
        policy: rules?.policy ?? null,
        voice,
      });
      const { snapshot } = masked;
      if (masked.report !== null) files[volume] = masked.report;
      made.push(snapshot);
      volumes[`mount:${volume}`] = { snapshotId: snapshot.id, type: 'mount', version: null };
    }
    for (const source of [...taken.services, ...loaded]) {
      const { planned } = source;
      const captured = await captureService(parent, row.id, source, rules, voice);
      made.push(captured.snapshot);
      volumes[`service:${planned.name}`] = {
        snapshotId: captured.snapshot.id,
        type: `${planned.type}:${planned.version}`,
        version: captured.version,
      };
      inherited[planned.name] = writeCredentials(captured.credentials);
      if (captured.origin !== null) origins[planned.name] = captured.origin;
      if (captured.proved === null) continue;
      masking[planned.name] = maskingFacts(captured.proved);
      services[planned.name] = serviceReport(planned, captured.version, captured.proved);
    }
    if (rules !== null) {
      refuseUnusedRules(rules.policy, rules.used, voice);
      await advanceSnapshot(context.pool, row.id, 'verified');
    }
    const report = dataReport(parent, {
      ...{
        why: policy.why,
        capturedAt,
        services,
        sources: origins,
        files,
        keys,
        mounts: [...taken.mounts.keys()],
      },
      policy: { commit: policy.commit, sanitize: row.sanitize },
    });
    const attestation = attest(context.attestationKeys, {
      snapshotId: row.id,
      environmentId: isElsewhere ? null : environment.id,
      projectId: parent.project.id,
      sanitize: row.sanitize,
      source: sourceDigest(policy.source ?? {}),
      policyCommit: policy.commit,
      ...(rules === null ? {} : { masking, files }),
      ...(keyed.length === 0 ? {} : { keys }),
      volumes,
      capturedAt: capturedAt.toISOString(),
      span: taken.span,
      installationId: context.installationId,
      report: canonicalDigest(report),
    } satisfies AttestedFacts);
    const frozen = {
      volumes,
      credentialsEncrypted: context.encryption.encrypt(
        new Secret(JSON.stringify(inherited)),
        `snapshot:${row.id}`,
      ),
      attestation,
      report,
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
    // Before its copies go: nothing may write there any more.
    for (const capture of keyed) await capture.close();
    for (const id of [...raws, ...made.map((snapshot) => snapshot.id)])
      await context.storage.removeSnapshot(id);
    await failSnapshot(context.pool, row.id, failureOf(error));
    throw error;
  } finally {
    for (const capture of keyed) await capture.close();
  }
}

/** What is captured at all; the rest starts empty in previews, and why is said. */
function wantedOf(
  parent: CaptureRun,
  rules: { policy: SanitizePolicy } | null,
  voice: StepVoice,
): { services: PlannedService[]; mounts: WantedMount[] } {
  const services = parent.plan.common.services.filter((planned) => {
    const isWanted = rules === null || canSanitize(planned.type);
    const isKeyed = rules !== null && keyRulesFor(rules.policy, planned.name) !== undefined;
    if (!isWanted && !isKeyed)
      voice.line(`${planned.name}: ${planned.type} cannot be sanitized, so previews start it empty`);
    return isWanted;
  });
  const mounts = mountVolumes(parent).flatMap((volume): WantedMount[] => {
    const rule = rules === null ? 'keep' : mountRuleOf(rules.policy, volume);
    if (rule !== undefined && rule !== 'drop') return [{ volume, isMasked: rule !== 'keep' }];
    voice.line(`${volume}: the data policy does not keep it, so previews start it empty`);
    return [];
  });
  return { services, mounts };
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

/** The passwords that a golden's files carry: every clone replaces them before anything else happens. */
export function goldenCredentials(encryption: Encryption, row: SnapshotRow): Record<string, Credentials> {
  if (row.credentialsEncrypted === null) return {};
  const text = encryption.decrypt(row.credentialsEncrypted, `snapshot:${row.id}`).reveal();
  const stored = StoredCredentials.parse(JSON.parse(text));
  return Object.fromEntries(Object.entries(stored).map(([name, sealed]) => [name, readCredentials(sealed)]));
}

async function captureService(
  parent: CaptureRun,
  snapshotRowId: string,
  of: CapturedService | (WantedService & { readonly source: ServiceSource }),
  rules: { policy: SanitizePolicy; used: Set<string> } | null,
  voice: StepVoice,
): Promise<{
  snapshot: Snapshot;
  version: string;
  credentials: Credentials;
  proved: ProvedService | null;
  origin: string | null;
}> {
  const { context, lock } = parent;
  const { planned, service, cloning, declaration, labels, ids } = of;
  const name = `s${snapshotRowId}-${planned.name}`;
  const running: PrivateService[] = [];
  const startOn = async (volume: Volume, login: Credentials, workloadName: string) => {
    const what = { service, declaration, credentials: login, volume, workloadName, voice };
    const started = await startPrivate(parent, what);
    running.push(started);
    return started;
  };
  try {
    const from = Date.now();
    lock.signal.throwIfAborted();
    const own = service.credentials(declaration);
    const captured = 'source' in of ? {} : { from: ids.raw };
    const volume = await context.storage.ensure({ id: ids.volume, labels, ...captured });
    let started: PrivateService;
    let origin: string | null = null;
    if ('source' in of) {
      // Nothing but what its source says is in it: a server of our own from the first byte.
      started = await startOn(volume, own, `capture ${name}`);
      await service.provision(declaration, started.address, own);
      const { words } = await loadSource(parent, { ...of, address: started.address, own, voice });
      origin = words;
      // What was loaded may know how to reach other servers.
      await cloning.claim(started.address, own, own);
    } else {
      await cloning.defang(volume.path);
      // The program starts with the parent's password in its files; `claim` gives it one that only goldens have.
      started = await startOn(volume, of.credentials, `capture ${name}`);
      await holdUp(parent, 'capture');
      await cloning.claim(started.address, of.credentials, own);
    }
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
    for (const server of running) await server.stop();
    if (masked !== null) await advanceSnapshot(context.pool, snapshotRowId, 'sanitized');
    const proved =
      masked === null
        ? null
        : {
            sanitized: masked,
            scan: await proveFiles(parent, {
              name: planned.name,
              path: golden.path,
              sanitized: masked,
              voice,
            }),
          };
    const snapshot = await context.storage.snapshot(golden.id, { id: ids.golden, labels });
    await holdUp(parent, 'freezing');
    voice.line(`${planned.name}: cleanly stopped and frozen after ${Date.now() - from} ms`);
    return { snapshot, version, credentials: own, proved, origin };
  } finally {
    for (const server of running) await server.stop();
    await context.storage.remove(ids.volume);
    await context.storage.remove(ids.masked);
    await context.storage.removeSnapshot(ids.raw);
  }
}

/** Volumes of file mounts, each once. */
export function mountVolumes(parent: CaptureRun): string[] {
  const volumes = parent.plan.common.apps.flatMap((app) =>
    [...app.mounts, ...app.workers.flatMap((worker) => worker.mounts)]
      .filter((mount) => mount.source === 'storage')
      .map((mount) => mount.volume),
  );
  return [...new Set(volumes)];
}
