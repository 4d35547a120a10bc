import { BoughError } from '@bough/domain/bough-error';
import type { MountRule, SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { unusedRules } from '@bough/sanitize/decide';
import { type Finding, pasteInline } from '@bough/sanitize/finding';
import { sanitizeInto } from '@bough/sanitize/mariadb/sanitize-into';
import { matchesName } from '@bough/sanitize/names';
import { type SanitizeResult, type SanitizeStage, sanitizeCluster } from '@bough/sanitize/sanitize-cluster';
import { type FileScan, scanFiles } from '@bough/sanitize/scan-files';
import { scrubFiles } from '@bough/sanitize/scrub';
import { maskingKey } from '@bough/sanitize/session';
import type { Address, Credentials } from '@bough/service/service';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';

/** Ample for hundreds of gigabytes; what takes longer has hung. */
export const sanitizeTimeoutMs = 4 * 60 * 60_000;
const findingsShown = 20;

/** Failures that leave a preview without data instead of without a deployment. */
const unfitCodes = ['data-not-sanitized', 'sanitize-failed'];

/** Whether previews go without data until it is mended. */
export function isUnfit(code: string | null): boolean {
  return code !== null && unfitCodes.includes(code);
}

export type Sanitized = Extract<SanitizeResult, { kind: 'sanitized' }>;

/** What a service's masking did, for the attestation. */
export interface MaskingFacts {
  readonly schemaDigest: string;
  readonly counts: Readonly<Record<string, number>>;
}

/** Of the services whose data can be cloned, those whose data can be masked too. */
export function canSanitize(serviceType: string): boolean {
  return serviceType === 'postgresql' || isMaskedAnew(serviceType);
}

/** Those whose masked data is written into a new, empty server, for nothing would take the raw bytes out of the old one. */
export function isMaskedAnew(serviceType: string): boolean {
  return serviceType === 'mariadb' || serviceType === 'mysql';
}

/** Masks, scrubs and verifies the running private copy of a service. Throws when anything is undecided or left. */
export async function sanitizeService(
  parent: CaptureRun,
  of: {
    name: string;
    address: Address;
    /** The new server, for a service that is masked anew. It has the same credentials. */
    into: Address | undefined;
    credentials: Credentials;
    policy: SanitizePolicy;
    used: Set<string>;
    voice: StepVoice;
  },
): Promise<Sanitized> {
  const signal = AbortSignal.any([parent.lock.signal, AbortSignal.timeout(sanitizeTimeoutMs)]);
  const login = { username: of.credentials.username, password: of.credentials.password };
  const server = { ...of.address, ...login };
  const settings = {
    policy: of.policy,
    key: maskingKey(parent.context.signingKey, parent.project.id),
    signal,
    line: (text: string) => of.voice.line(`${of.name}: ${text}`),
    at: (stage: SanitizeStage) => holdUp(parent, stage),
  };
  const sanitizing =
    of.into === undefined
      ? sanitizeCluster({ server, ...settings })
      : sanitizeInto({ source: server, target: { ...of.into, ...login }, ...settings });
  const result = await sanitizing.catch((error: unknown) => {
    parent.lock.signal.throwIfAborted();
    throw error instanceof BoughError ? error : stopped(of.name, error);
  });
  for (const key of result.used) of.used.add(key);
  if (result.kind === 'findings') throw unfit(of.name, result.findings, of.voice);
  return result;
}

/** A place for tests of crashes, named after the parent: `shop.during-masking`. */
export async function holdUp(parent: CaptureRun, stage: string): Promise<void> {
  const { context, environment, lock } = parent;
  await context.faultPoint?.({ slug: environment.slug, point: `during-${stage}`, signal: lock.signal });
}

/** After the clean stop: no file of the copy may hold a canary or a sampled value. */
export async function proveFiles(
  parent: CaptureRun,
  of: { name: string; path: string; sanitized: Sanitized; voice: StepVoice },
): Promise<FileScan> {
  const signal = AbortSignal.any([parent.lock.signal, AbortSignal.timeout(sanitizeTimeoutMs)]);
  await holdUp(parent, 'proving');
  await scrubFiles(of.path, of.sanitized.relationFiles);
  const scan = await scanFiles(of.path, of.sanitized.needles, signal);
  if (scan.count > 0) {
    const finding: Finding = {
      code: 'raw-value',
      where: of.name,
      message: `${scan.count} places in the files of the masked copy still hold values of production (${scan.hits.slice(0, 3).join(', ')}).`,
      paste: null,
    };
    throw unfit(of.name, [finding], of.voice);
  }
  of.voice.line(`${of.name}: no value of production in ${scan.files} files, ${scan.bytes} bytes`);
  return scan;
}

/** A rule that spoke of nothing in any service has a slip in it, or what it masked has moved elsewhere. */
export function refuseUnusedRules(policy: SanitizePolicy, used: ReadonlySet<string>, voice: StepVoice): void {
  const unused = unusedRules(policy, used);
  if (unused.length > 0) throw unfit('data', unused, voice);
}

/** What becomes of a mount: they are named as in the manifest, with or without their app. Undefined: no rule says. */
export function mountRuleOf(policy: SanitizePolicy, volume: string): MountRule | undefined {
  const names = [volume, mountName(volume)];
  return policy.mounts.find(({ pattern }) =>
    names.some((name) => matchesName(pattern, '', { schema: 'public', name })),
  )?.rule;
}

/** `web:uploads` → `uploads`: as the manifest calls it. */
export function mountName(volume: string): string {
  return volume.slice(volume.indexOf(':') + 1);
}

/** A mount that nobody decided blocks, like a column: what is in it may be anything. */
export function refuseUndecidedMounts(
  policy: SanitizePolicy,
  volumes: readonly string[],
  voice: StepVoice,
): void {
  if (policy.default !== 'fail') return;
  const undecided = volumes.filter((volume) => mountRuleOf(policy, volume) === undefined);
  if (undecided.length === 0) return;
  const findings = undecided.map((volume): Finding => {
    const name = mountName(volume);
    return {
      code: 'undecided',
      where: `mounts: ${name}`,
      message:
        'No rule decides this mount of files: it may be left empty, or get placeholders (placeholder), be kept, or have rules.',
      paste: `mounts:\n  ${JSON.stringify(name)}: drop`,
    };
  });
  throw unfit('mounts', findings, voice);
}

/** Why nothing was cloned, in one sentence for the pull request; undefined for other failures. */
export function unfitNote(error: unknown): string | undefined {
  if (!(error instanceof BoughError) || !isUnfit(error.code)) return undefined;
  return unfitWords(error);
}

export function unfitWords(failure: { message: string; hint?: string | null | undefined }): string {
  return `services start empty, because production's data could not be sanitized: ${failure.message} ${failure.hint ?? ''}`.trim();
}

/** What was found, all of it in the log and the first in words for the pull request. */
export function unfit(service: string, findings: readonly Finding[], voice: StepVoice): BoughError {
  for (const { where, message, paste } of findings.slice(0, findingsShown))
    voice.line(`${where}: ${message}${paste === null ? '' : ` Rule: ${pasteInline(paste)}`}`);
  const [first] = findings;
  const more = findings.length > 1 ? ` And ${findings.length - 1} more, listed in the log.` : '';
  const paste = first?.paste ?? null;
  return new BoughError({
    code: 'data-not-sanitized',
    message: `${first?.where ?? service}: ${first?.message ?? 'unfit.'}${more}`,
    hint:
      paste === null
        ? 'Change the rules below `data: sanitize:` in the default branch.'
        : `Add below \`data: sanitize:\` in the default branch: \`${pasteInline(paste)}\``,
    tail: findings.slice(0, findingsShown).map(({ where, message }) => `${where}: ${message}`),
  });
}

function stopped(service: string, cause: unknown): BoughError {
  return new BoughError({
    code: 'sanitize-failed',
    message: `Sanitizing "${service}" was cut short.`,
    hint: 'Try again with `bough data refresh`; nothing was cloned.',
    cause,
  });
}
