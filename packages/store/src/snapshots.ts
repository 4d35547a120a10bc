import { type Database, only } from './database.ts';

/** A frozen copy of an environment's volumes. Only one in state `frozen`, with an attestation, may be cloned. */
export interface SnapshotRow {
  readonly id: string;
  readonly projectId: string;
  /** The production whose data it is; null when that does not run here. */
  readonly environmentId: string | null;
  readonly state: 'capturing' | 'captured' | 'sanitized' | 'verified' | 'frozen' | 'failed' | 'removed';
  readonly sanitize: string;
  readonly policyCommit: string | null;
  readonly sourceCommit: string | null;
  /** Who or what asked for it; null: older than that. */
  readonly why: string | null;
  /** Of the `data: source:` that it was filled from; null: older than that. */
  readonly sourceDigest: string | null;
  /** Service or mount name → the storage's snapshot. */
  readonly volumes: Readonly<Record<string, SnapshotVolume>>;
  readonly credentialsEncrypted: Buffer | null;
  readonly attestation: unknown;
  readonly failureCode: string | null;
  readonly failureMessage: string | null;
  readonly failureHint: string | null;
  /** Captures that failed one after the other, this one the last; 0 unless it failed. */
  readonly failures: number;
  readonly failingSince: Date | null;
  /** When the next one is tried; null unless it failed. */
  readonly retryAt: Date | null;
  readonly sizeBytes: string | null;
  readonly capturedAt: Date | null;
  readonly frozenAt: Date | null;
}

export interface SnapshotVolume {
  readonly snapshotId: string;
  readonly type: string;
  readonly version: string | null;
}

const COLUMNS = `id::text, project_id::text as "projectId", environment_id::text as "environmentId", state, sanitize, policy_commit as "policyCommit",
  source_commit as "sourceCommit", why, source_digest as "sourceDigest", volumes, credentials_encrypted as "credentialsEncrypted", attestation,
  failure_code as "failureCode", failure_message as "failureMessage", failure_hint as "failureHint", failures,
  failing_since as "failingSince", retry_at as "retryAt", size_bytes::text as "sizeBytes", captured_at as "capturedAt", frozen_at as "frozenAt"`;

export async function insertSnapshot(
  db: Database,
  snapshot: ({ environmentId: string } | { environmentId: null; projectId: string }) & {
    sanitize: string;
    policyCommit: string | null;
    sourceCommit: string | null;
    why?: string;
    sourceDigest?: string;
  },
): Promise<SnapshotRow> {
  const { rows } = await db.query<SnapshotRow>(
    `insert into snapshots (project_id, environment_id, sanitize, policy_commit, source_commit, why, source_digest)
     values (coalesce($5::bigint, (select project_id from environments where id = $1)), $1, $2, $3, $4, $6, $7) returning ${COLUMNS}`,
    [
      snapshot.environmentId,
      snapshot.sanitize,
      snapshot.policyCommit,
      snapshot.sourceCommit,
      snapshot.environmentId === null ? snapshot.projectId : null,
      snapshot.why?.slice(0, 500) ?? null,
      snapshot.sourceDigest ?? null,
    ],
  );
  return only(rows);
}

/** How far a capture has come; only `freezeSnapshot` makes it one that can be cloned. */
export async function advanceSnapshot(
  db: Database,
  id: string,
  state: 'captured' | 'sanitized' | 'verified',
): Promise<void> {
  await db.query(
    `update snapshots set state = $2 where id = $1 and state in ('capturing', 'captured', 'sanitized', 'verified')`,
    [id, state],
  );
}

/** False when it was given up meanwhile, because whoever captures it was taken for dead: then its parts are being reaped. */
export async function freezeSnapshot(
  db: Database,
  id: string,
  frozen: {
    volumes: Readonly<Record<string, SnapshotVolume>>;
    credentialsEncrypted: Buffer;
    attestation: unknown;
    report: unknown;
    sizeBytes: number;
    capturedAt: Date;
  },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `update snapshots set state = 'frozen', volumes = $2, credentials_encrypted = $3, attestation = $4, size_bytes = $5,
       captured_at = $6, report = $7, frozen_at = now()
     where id = $1 and state not in ('failed', 'removed')`,
    [
      id,
      JSON.stringify(frozen.volumes),
      frozen.credentialsEncrypted,
      JSON.stringify(frozen.attestation),
      frozen.sizeBytes,
      frozen.capturedAt,
      JSON.stringify(frozen.report),
    ],
  );
  return rowCount === 1;
}

/** Large, so not with the row. Null: the golden is older than reports. */
export async function readSnapshotReport(db: Database, id: string): Promise<unknown> {
  const { rows } = await db.query<{ report: unknown }>('select report from snapshots where id = $1', [id]);
  return rows[0]?.report ?? null;
}

/** Goldens with what was signed of them; locked until the transaction ends. */
export async function lockAttestations(db: Database): Promise<{ id: string; attestation: unknown }[]> {
  const { rows } = await db.query<{ id: string; attestation: unknown }>(
    `select id::text, attestation from snapshots where state = 'frozen' and attestation is not null order by snapshots.id for update`,
  );
  return rows;
}

export async function writeAttestation(db: Database, id: string, attestation: unknown): Promise<void> {
  await db.query('update snapshots set attestation = $2 where id = $1', [id, JSON.stringify(attestation)]);
}

export interface CaptureFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

/**
 * 1 minute, doubling to 6 hours: a capture reads all of production's data, and most failures wait for a person. Only one
 * whose worker died is tried again at once, the first time.
 */
const RETRY = `least(interval '1 minute' * (power(2, least(failed.count, 20) - 1) - case $2 when 'capture-died' then 1 else 0 end),
  interval '6 hours')`;

/** The one row of a project whose captures fail: those that failed before it are counted in it and go. */
export async function failSnapshot(db: Database, id: string, failure: CaptureFailure): Promise<void> {
  await db.query(
    `with own as (select id, project_id from snapshots where id = $1 and state not in ('frozen', 'failed', 'removed')),
       earlier as (
         update snapshots s set state = 'removed' from own
         where s.project_id = own.project_id and s.state = 'failed' and s.id <> own.id
         returning s.failures, s.failing_since),
       failed as (select 1 + coalesce(max(failures), 0) as count, coalesce(min(failing_since), now()) as since from earlier)
     update snapshots s set state = 'failed', failure_code = $2, failure_message = $3, failure_hint = $4,
       failures = failed.count, failing_since = failed.since, retry_at = now() + ${RETRY}
     from own, failed where s.id = own.id`,
    [id, failure.code, failure.message, failure.hint],
  );
}

/** Why the newest capture of this project's data failed; undefined when it did not. */
export async function findFailedCapture(db: Database, projectId: string): Promise<SnapshotRow | undefined> {
  const { rows } = await db.query<SnapshotRow>(
    `select ${COLUMNS} from snapshots where project_id = $1 and state = 'failed' order by snapshots.id desc limit 1`,
    [projectId],
  );
  return rows[0];
}

export async function markSnapshotRemoved(db: Database, id: string): Promise<void> {
  await db.query(`update snapshots set state = 'removed' where id = $1`, [id]);
}

export async function findSnapshot(db: Database, id: string): Promise<SnapshotRow | undefined> {
  const { rows } = await db.query<SnapshotRow>(`select ${COLUMNS} from snapshots where id = $1`, [id]);
  return rows[0];
}

export async function newestFrozenSnapshot(
  db: Database,
  projectId: string,
): Promise<SnapshotRow | undefined> {
  const { rows } = await db.query<SnapshotRow>(
    `select ${COLUMNS} from snapshots where project_id = $1 and state = 'frozen' order by snapshots.id desc limit 1`,
    [projectId],
  );
  return rows[0];
}

/** The newest golden of each project, the youngest first: what the next previews will be cloned from. */
export async function listNewestGoldens(db: Database): Promise<SnapshotRow[]> {
  const { rows } = await db.query<SnapshotRow>(
    `select ${COLUMNS} from snapshots
     where snapshots.id in (
       select max(s.id) from snapshots s left join environments e on e.id = s.environment_id
       where s.state = 'frozen' and e.removed_at is null group by s.project_id)
     order by snapshots.id desc limit 200`,
  );
  return rows;
}

/** Of these ids those of captures that came to nothing, and of goldens that were removed: nothing on disk is to be theirs. */
export async function listEndedSnapshots(db: Database, ids: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select id::text from snapshots where id = any($1::bigint[]) and state in ('failed', 'removed')`,
    [ids],
  );
  return rows.map(({ id }) => id);
}

/**
 * Snapshots that still have something on disk, newest first, and how many living environments descend from each. Failed
 * ones come last: a capture that fails every minute for days must not push out the goldens that are in use.
 */
export async function listKeptSnapshots(
  db: Database,
  projectId?: string,
): Promise<(SnapshotRow & { descendants: number })[]> {
  const { rows } = await db.query<SnapshotRow & { descendants: number }>(
    `select ${COLUMNS}, (select count(*)::int from environments d where s.id in (d.data_snapshot_id, (d.data_pending->>'snapshotId')::bigint, (d.branch_of->>'snapshotId')::bigint) and d.removed_at is null) as descendants
     from snapshots s where state not in ('removed') and ($1::bigint is null or project_id = $1) order by s.state = 'failed', s.id desc limit 2000`,
    [projectId ?? null],
  );
  return rows;
}
