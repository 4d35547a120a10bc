import { createHash } from 'node:crypto';

/**
 * Deterministic names, made from ids. A host label is at most 63 characters (RFC 1035 §2.3.4); `--` separates its
 * parts and occurs inside none of them.
 */
const LABEL_LENGTH_MAX = 63;

/** Lower case letters, digits and single hyphens; never empty. */
export function slugify(text: string): string {
  const slug = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return slug === '' ? `x${shortHash(text)}` : slug;
}

/** 8 hex digits of sha256. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** Joins parts with `--` and keeps the whole within a host label: what is too long is cut and gets a hash of the whole. */
export function hostLabel(parts: readonly string[]): string {
  const whole = parts.join('--');
  if (whole.length <= LABEL_LENGTH_MAX) return whole;
  const hash = shortHash(whole);
  return `${whole.slice(0, LABEL_LENGTH_MAX - hash.length - 1).replace(/-+$/, '')}-${hash}`;
}

/** `shop` for production, `pr-7--shop`, `feature-x--shop`. */
export function environmentSlug(subjectSlug: string, projectSlug: string): string {
  return subjectSlug === 'production' ? hostLabel([projectSlug]) : hostLabel([subjectSlug, projectSlug]);
}

/**
 * A slug for what is a key: equal slugs mean equal texts. Where slugify drops or merges something (`a/b` and `a-b`), a hash
 * of the text tells them apart: two mounts must never share a volume, nor `my_app` and `my-app` a process.
 */
function uniqueSlug(text: string): string {
  const slug = slugify(text);
  return /^[a-z0-9]+([: ][a-z0-9]+)*$/.test(text) ? slug : `${slug}-${shortHash(text)}`;
}

/** Id of a workload: unique on the host, because it starts with the installation's. */
export function workloadId(parts: {
  installationId: string;
  environmentId: string;
  name: string;
  release?: string;
}): string {
  const name = uniqueSlug(parts.name);
  const release = parts.release === undefined ? '' : `-r${parts.release}`;
  return `${parts.installationId}-e${parts.environmentId}-${name}${release}`;
}

/** Id of what a capture makes on the way to a golden snapshot; `snapshotId` is the golden's row. */
export function captureId(parts: {
  installationId: string;
  snapshotId: string;
  name: string;
  stage: 'raw' | 'volume' | 'masked' | 'golden';
}): string {
  const id = `${parts.installationId}-s${parts.snapshotId}-${uniqueSlug(parts.name)}-${parts.stage}`;
  return id.length <= LABEL_LENGTH_MAX ? id : `${id.slice(0, 54)}-${shortHash(id)}`;
}

/** What stands behind the name of a volume whose data came later than with the first deployment. */
export function epochSuffix(dataEpoch: string): string {
  return dataEpoch === '0' ? '' : `@${dataEpoch}`;
}

/** Id of a volume of an environment; `name` is `service:database` or `mount:app:uploads`. */
export function volumeId(parts: { installationId: string; environmentId: string; name: string }): string {
  const id = `${parts.installationId}-e${parts.environmentId}-${uniqueSlug(parts.name)}`;
  return id.length <= LABEL_LENGTH_MAX ? id : `${id.slice(0, 54)}-${shortHash(id)}`;
}
