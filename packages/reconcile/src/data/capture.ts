import { BoughError } from '@bough/domain/bough-error';
import type { PlannedService } from '@bough/manifest/plan';
import { sourceDigest } from '@bough/manifest/source-digest';
import { keyRulesFor } from '@bough/sanitize/keys/key-rules';
import { sanitizeLabel } from '@bough/sanitize/policy-digest';
import {
  advanceSnapshot,
  type CaptureFailure,
  failSnapshot,
  insertSnapshot,
  type SnapshotRow,
} from '@bough/store/snapshots';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import { writeCredentials } from '../service-credentials.ts';
import { openKeys, refuseUnknownKeyServices, wantedKeys } from './capture-keys.ts';
import { captureService } from './capture-service.ts';
import { captureTogether, type RawService, type Together, type WantedMount } from './capture-together.ts';
import { maskingFacts, serviceReport } from './data-report.ts';
import { freezeGolden } from './freeze-golden.ts';
import { type CapturePolicy, type Capturing, noParts } from './golden-parts.ts';
import { maskMount } from './mask-mount.ts';
import { mountVolumes } from './mount-volumes.ts';
import { canSanitize, mountRuleOf, refuseUndecidedMounts, refuseUnusedRules } from './sanitize-capture.ts';
import { seedServices } from './seed.ts';
import { type ReadableService, type SourcedServices, sourcedServices } from './sourced-services.ts';

/**
 * Capture → masked, scrubbed, verified → cleanly stopped → frozen: a golden snapshot of the running parent, which keeps
 * serving. Under `sanitize: none` the masking is left out. What a preview starts from is always this, never the parent
 * itself: a clean copy starts in tens of milliseconds, while the copy of something running must first recover.
 *
 * `parent` is a run of the parent's serving release, made only to be read from. Throws after having removed whatever
 * it made; a crash leaves things that carry the label `capture`, which resync reaps.
 */
export async function captureGolden(
  parent: CaptureRun,
  policy: CapturePolicy,
  voice: StepVoice,
): Promise<SnapshotRow> {
  const { context } = parent;
  const row = await insertSnapshot(context.pool, {
    ...(policy.isElsewhere === true
      ? { environmentId: null, projectId: parent.project.id }
      : { environmentId: parent.environment.id }),
    sanitize: sanitizeLabel(policy.sanitize),
    policyCommit: policy.commit,
    sourceCommit: parent.commit,
    ...{ why: policy.why, sourceDigest: sourceDigest(policy.source ?? {}) },
  });
  const rules = policy.sanitize === 'none' ? null : { policy: policy.sanitize, used: new Set<string>() };
  const parts = noParts();
  const capturing: Capturing = { parent, row, policy, rules, voice, parts };
  try {
    const wanted = wantedOf(capturing);
    const seeded = await fillSeeds(capturing, wanted);
    const capturedAt = context.clock.now();
    const taken = await takeRaw(capturing, wanted);
    await freezeKeys(capturing);
    await freezeMounts(capturing, taken);
    await freezeServices(capturing, [...taken.services, ...seeded, ...wanted.readable]);
    if (rules !== null) {
      refuseUnusedRules(rules.policy, rules.used, voice);
      await advanceSnapshot(context.pool, row.id, 'verified');
    }
    return await freezeGolden(capturing, { capturedAt, taken });
  } catch (error) {
    // Before its copies go: nothing may write there any more.
    for (const capture of parts.keyed) await capture.close();
    for (const id of [...parts.raws, ...parts.made.map((snapshot) => snapshot.id)])
      await context.storage.removeSnapshot(id);
    await failSnapshot(context.pool, row.id, failureOf(error));
    throw error;
  } finally {
    for (const capture of parts.keyed) await capture.close();
  }
}

interface Wanted extends SourcedServices {
  readonly services: readonly PlannedService[];
  readonly mounts: readonly WantedMount[];
}

/** Before anything is taken: a command may run for half an hour, and what runs here is to be of one time. */
async function fillSeeds({ parent, row, voice, parts }: Capturing, wanted: Wanted): Promise<RawService[]> {
  parts.raws.push(...wanted.seedable.map(({ ids }) => ids.raw));
  return await seedServices(parent, { snapshotRowId: row.id, wanted: wanted.seedable }, voice);
}

/** Raw copies of everything that runs here, of one time; keys are read beside them. */
async function takeRaw(capturing: Capturing, wanted: Wanted): Promise<Together> {
  const { parent, row, policy, rules, voice, parts } = capturing;
  const sources = policy.source ?? {};
  const isElsewhere = policy.isElsewhere === true;
  for (const one of wantedKeys(parent, rules?.policy ?? null)) {
    const { name } = one.planned;
    if (!isElsewhere && sources[name] === undefined)
      parts.keyed.push(await openKeys(parent, { snapshotRowId: row.id, wanted: one, voice }));
    else voice.line(`${name}: keys are copied only of a production that runs here; previews start it empty`);
  }
  const running = wanted.services.filter(({ name }) => sources[name] === undefined);
  // What runs elsewhere has only what its sources name.
  const here = isElsewhere
    ? { services: [], mounts: [] }
    : { ...wanted, services: running, beside: parts.keyed.map(({ copy }) => copy) };
  const taken = await captureTogether(parent, row.id, here, voice);
  parts.raws.push(
    ...taken.services.map(({ ids }) => ids.raw),
    ...[...taken.mounts.values()].map(({ id }) => id),
  );
  return taken;
}

async function freezeKeys({ parts }: Capturing): Promise<void> {
  for (const capture of parts.keyed) {
    const { planned } = capture;
    const { snapshot, version, report } = await capture.freeze();
    parts.made.push(snapshot);
    parts.volumes[`service:${planned.name}`] = {
      ...{ snapshotId: snapshot.id, type: `${planned.type}:${planned.version}`, version },
    };
    parts.keys[planned.name] = report;
  }
}

async function freezeMounts({ parent, row, rules, voice, parts }: Capturing, taken: Together): Promise<void> {
  for (const [volume, captured] of taken.mounts) {
    const { snapshot, report } = await maskMount(parent, {
      snapshotRowId: row.id,
      volume,
      taken: captured,
      policy: rules?.policy ?? null,
      voice,
    });
    if (report !== null) parts.files[volume] = report;
    parts.made.push(snapshot);
    parts.volumes[`mount:${volume}`] = { snapshotId: snapshot.id, type: 'mount', version: null };
  }
}

async function freezeServices(
  { parent, row, rules, voice, parts }: Capturing,
  services: readonly (RawService | ReadableService)[],
): Promise<void> {
  for (const source of services) {
    const { planned } = source;
    const captured = await captureService(parent, row.id, source, rules, voice);
    parts.made.push(captured.snapshot);
    parts.volumes[`service:${planned.name}`] = {
      snapshotId: captured.snapshot.id,
      type: `${planned.type}:${planned.version}`,
      version: captured.version,
    };
    parts.credentials[planned.name] = writeCredentials(captured.credentials);
    if (captured.origin !== null) parts.origins[planned.name] = captured.origin;
    if (captured.proved === null) continue;
    parts.masking[planned.name] = maskingFacts(captured.proved);
    parts.services[planned.name] = serviceReport(planned, captured.version, captured.proved);
  }
}

/** What is captured at all; the rest starts empty in previews, and why is said. */
function wantedOf({ parent, row, policy, rules, voice }: Capturing): Wanted {
  // Of a production elsewhere no files are taken.
  if (rules !== null && policy.isElsewhere !== true)
    refuseUndecidedMounts(rules.policy, mountVolumes(parent), voice);
  if (rules !== null) refuseUnknownKeyServices(parent, rules.policy, voice);
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
  const sourced = sourcedServices(parent, row.id, { wanted: services, sources: policy.source ?? {} });
  return { services, mounts, ...sourced };
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
