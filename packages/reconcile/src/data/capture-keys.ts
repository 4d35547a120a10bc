import { type KeysReport, keysWords } from '@bough/domain/data-report';
import { captureId } from '@bough/domain/names';
import type { PlannedService } from '@bough/manifest/plan';
import type { KeyRule, SanitizePolicy } from '@bough/manifest/sanitize-policy';
import type { Finding } from '@bough/sanitize/finding';
import { type CopiedKeys, copyKeys } from '@bough/sanitize/keys/copy-keys';
import { compileKeyRules, isMeant, keyRulesFor } from '@bough/sanitize/keys/key-rules';
import { verifyKeys } from '@bough/sanitize/keys/verify-keys';
import { scanFiles } from '@bough/sanitize/scan-files';
import type { Credentials, Keyed, Service } from '@bough/service/service';
import type { Snapshot } from '@bough/storage/storage';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import { declarationOf } from '../deploy/services.ts';
import { addressOfRunning, labelsOfCapture } from './capture-together.ts';
import { holdUp, sanitizeTimeoutMs, unfit } from './sanitize-capture.ts';
import { startPrivate } from './start-private.ts';

/** A service whose keys are copied by rules, because there is no way to take its files and mask them. */
export interface WantedKeys {
  readonly planned: PlannedService;
  readonly service: Service;
  readonly keyed: Keyed;
  readonly rules: readonly KeyRule[];
}

/** A capture of keys under way: an empty private server waits for them. */
export interface KeysCapture {
  readonly planned: PlannedService;
  /** Reads production: once, beside what is copied of other services. */
  copy(): Promise<void>;
  /** Verifies, stops, searches and freezes what was copied. */
  freeze(): Promise<FrozenKeys>;
  /** Leaves nothing but what was frozen; may be called again. */
  close(): Promise<void>;
}

export interface FrozenKeys {
  readonly snapshot: Snapshot;
  readonly version: string;
  readonly report: KeysReport;
}

/** The services whose keys rules name; the rest of their kind starts empty. Pure. */
export function wantedKeys(
  parent: CaptureRun,
  policy: Pick<SanitizePolicy, 'keys'> | null,
): readonly WantedKeys[] {
  return parent.plan.common.services.flatMap((planned): WantedKeys[] => {
    const service = parent.context.service(planned.type);
    const rules = policy === null ? undefined : keyRulesFor(policy, planned.name);
    const { keyed } = service;
    return keyed === undefined || rules === undefined ? [] : [{ planned, service, keyed, rules }];
  });
}

/** A slip in a name would look like a cache that happened to be empty. */
export function refuseUnknownKeyServices(
  parent: CaptureRun,
  policy: Pick<SanitizePolicy, 'keys'>,
  voice: StepVoice,
): void {
  const known = parent.plan.common.services
    .filter(({ type }) => parent.context.service(type).keyed !== undefined)
    .map(({ name }) => name);
  const findings = (policy.keys ?? [])
    .filter((rule) => !known.some((name) => isMeant(rule, name)))
    .map(
      ({ pattern }): Finding => ({
        code: 'rule-unused',
        where: `keys: ${pattern}`,
        message: `Production has no Redis or Valkey service of this name (it has: ${known.join(', ') || 'none'}).`,
        paste: null,
      }),
    );
  if (findings.length > 0) throw unfit('keys', findings, voice);
}

/** Starts the private server that the keys are copied into. Leaves nothing behind when it throws. */
export async function openKeys(
  parent: CaptureRun,
  of: { snapshotRowId: string; wanted: WantedKeys; voice: StepVoice },
): Promise<KeysCapture> {
  const { context } = parent;
  const { planned, service, keyed, rules } = of.wanted;
  const declaration = declarationOf(planned);
  const own = service.credentials(declaration);
  const labels = labelsOfCapture(parent, planned.name);
  const idOf = (stage: 'masked' | 'golden') =>
    captureId({
      installationId: context.installationId,
      snapshotId: of.snapshotRowId,
      name: `service:${planned.name}`,
      stage,
    });
  const signal = AbortSignal.any([parent.lock.signal, AbortSignal.timeout(sanitizeTimeoutMs)]);
  const line = (text: string) => of.voice.line(`${planned.name}: ${text}`);
  const allowances = compileKeyRules(rules);
  const volume = await context.storage.ensure({ id: idOf('masked'), labels });
  const workloadName = `capture s${of.snapshotRowId}-${planned.name}`;
  const what = { service, declaration, credentials: own, volume, workloadName, voice: of.voice };
  const server = await startPrivate(parent, what).catch(async (error: unknown) => {
    await context.storage.remove(volume.id);
    throw error;
  });
  const target = loginOf(server.address, own);
  let copied: CopiedKeys | undefined;
  return {
    planned,
    async copy() {
      const { address, credentials } = await addressOfRunning(parent, planned, declaration);
      await holdUp(parent, 'keys');
      const source = loginOf(address, credentials);
      copied = await copyKeys({ service: planned.name, source, target, allowances, signal, line });
      if (copied.findings.length > 0) throw unfit(planned.name, copied.findings, of.voice);
    },
    async freeze() {
      if (copied === undefined) throw new Error('frozen before it was copied');
      const verified = await verifyKeys({
        ...{ service: planned.name, target, allowances, copied, rules, signal },
      });
      if (verified.findings.length > 0) throw unfit(planned.name, verified.findings, of.voice);
      const { version } = await service.ready(server.address, own, signal);
      await keyed.seal(declaration, server.address, own, signal);
      await server.stop();
      const scan = await scanFiles(volume.path, verified.needles, signal);
      if (scan.count > 0) throw unfit(planned.name, [rawBytes(planned.name, scan.count)], of.voice);
      const report: KeysReport = {
        engine: { type: planned.toolchain.want, version, digest: planned.toolchain.digest },
        ...{ scanned: copied.scanned, kept: verified.kept, queues: copied.queues },
        patterns: allowances.all.map(({ allow, index }) => ({ allow, keys: verified.counts[index] ?? 0 })),
        detectors: verified.detectors,
        samples: { taken: verified.needles.length, found: 0 },
        byteScan: { files: scan.files, bytes: scan.bytes, hits: scan.count },
        filesDigest: scan.digest,
      };
      const snapshot = await context.storage.snapshot(volume.id, { id: idOf('golden'), labels });
      line(keysWords(report));
      for (const { allow, keys } of report.patterns)
        if (keys === 0) line(`no key matches "${allow}" now, which caches may do`);
      return { snapshot, version, report };
    },
    async close() {
      await server.stop();
      await context.storage.remove(volume.id);
    },
  };
}

function loginOf(address: { host: string; port: number }, { username, password }: Credentials) {
  return { ...address, username, password };
}

function rawBytes(service: string, count: number): Finding {
  return {
    code: 'raw-value',
    where: `keys: ${service}`,
    message: `${count} places in the files of the copy hold names or values of keys that no rule lets through.`,
    paste: null,
  };
}
