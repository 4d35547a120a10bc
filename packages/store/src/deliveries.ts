import { type Database, only } from './database.ts';

/** One webhook request, and what became of it. */
export interface Delivery {
  readonly id: string;
  readonly forge: string;
  readonly deliveryId: string;
  readonly event: string;
  readonly action: string | null;
  readonly repositoryId: number | null;
  readonly subjects: readonly string[];
  /** The fields that Bough uses, parsed; not the request's body, which may be 25 MB and is a hint at best. */
  readonly payload: unknown;
  readonly fate: Fate;
  readonly reason: string | null;
  readonly attempts: number;
  readonly receivedAt: Date;
  readonly settledAt: Date | null;
}

/**
 * received: stored, not queued yet (the sweeper queues it). queued: durably in the queue. observed: the subject was read
 * after it came. declined: not for us, with a reason. ignored: an event that means nothing here. failed: acting on it
 * went wrong, and a redelivery or a replay tries again.
 */
export type Fate = 'received' | 'queued' | 'observed' | 'declined' | 'ignored' | 'failed';

interface DeliveryRow extends Omit<Delivery, 'repositoryId'> {
  readonly repositoryId: string | null;
}

const COLUMNS = `id::text, forge, delivery_id as "deliveryId", event, action, repository_id::text as "repositoryId", subjects, payload,
  fate, reason, attempts, received_at as "receivedAt", settled_at as "settledAt"`;

function toDelivery(row: DeliveryRow): Delivery {
  return { ...row, repositoryId: row.repositoryId === null ? null : Number(row.repositoryId) };
}

export interface NewDelivery {
  readonly forge: string;
  readonly deliveryId: string;
  readonly event: string;
  readonly action: string | null;
  readonly repositoryId: number | null;
  readonly subjects: readonly string[];
  readonly payload: unknown;
}

/**
 * Stores a delivery before it is answered. A redelivery keeps the forge's delivery id: one that was observed, queued or
 * ignored is only counted; one that failed, was declined (the project may have been added since) or was never queued
 * is open again, and `isOpen` tells the caller to queue it.
 */
export async function receiveDelivery(
  db: Database,
  delivery: NewDelivery,
): Promise<{ id: string; isNew: boolean; isOpen: boolean; fate: Fate; reason: string | null }> {
  const { rows } = await db.query<{ id: string; isNew: boolean; fate: Fate; reason: string | null }>(
    `insert into deliveries as d (forge, delivery_id, event, action, repository_id, subjects, payload)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (forge, delivery_id) do update set
       attempts = d.attempts + 1,
       fate = case when d.fate in ('failed', 'declined') then 'received' else d.fate end,
       reason = case when d.fate in ('failed', 'declined') then null else d.reason end,
       settled_at = case when d.fate in ('failed', 'declined') then null else d.settled_at end
     returning id::text, xmax = 0 as "isNew", fate, reason`,
    [
      delivery.forge,
      delivery.deliveryId,
      delivery.event,
      delivery.action,
      delivery.repositoryId,
      delivery.subjects,
      storableJson(delivery.payload),
    ],
  );
  const row = only(rows);
  return { ...row, isOpen: row.fate === 'received' };
}

/**
 * Stores what we read ourselves, as if the forge had sent it. Undefined: it is there already, and whatever became of it stays
 * so, because reading it again is not a redelivery.
 */
export async function insertDelivery(db: Database, delivery: NewDelivery): Promise<string | undefined> {
  const { rows } = await db.query<{ id: string }>(
    `insert into deliveries (forge, delivery_id, event, action, repository_id, subjects, payload)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (forge, delivery_id) do nothing returning id::text`,
    [
      delivery.forge,
      delivery.deliveryId,
      delivery.event,
      delivery.action,
      delivery.repositoryId,
      delivery.subjects,
      storableJson(delivery.payload),
    ],
  );
  return rows[0]?.id;
}

/** Postgres' jsonb takes neither NUL nor half of a surrogate pair, both of which JSON can carry. */
function storableJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'string' ? part.replace(UNSTORABLE, '\ufffd') : part,
  );
}
const UNSTORABLE = /\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A settled delivery is not settled again: what was observed stays observed. */
export async function settleDelivery(
  db: Database,
  id: string,
  end: { fate: Exclude<Fate, 'received'>; reason?: string | null },
): Promise<boolean> {
  return (await settleDeliveries(db, [id], end)) === 1;
}

export async function settleDeliveries(
  db: Database,
  ids: readonly string[],
  end: { fate: Exclude<Fate, 'received'>; reason?: string | null },
): Promise<number> {
  if (ids.length === 0) return 0;
  const { rowCount } = await db.query(
    `update deliveries set fate = $2, reason = $3, settled_at = case when $2 = 'queued' then null else now() end
     where id = any($1::bigint[]) and fate in ('received', 'queued') and fate <> $2`,
    [ids, end.fate, end.reason ?? null],
  );
  return rowCount ?? 0;
}

/** Opens a delivery again, whatever became of it: somebody asked for a replay. */
export async function reopenDelivery(db: Database, id: string): Promise<Delivery | undefined> {
  const { rows } = await db.query<DeliveryRow>(
    `update deliveries set fate = 'received', reason = null, settled_at = null, attempts = attempts + 1 where id = $1 returning ${COLUMNS}`,
    [id],
  );
  return rows[0] && toDelivery(rows[0]);
}

export async function findDelivery(db: Database, id: string): Promise<Delivery | undefined> {
  const { rows } = await db.query<DeliveryRow>(`select ${COLUMNS} from deliveries where id = $1`, [id]);
  return rows[0] && toDelivery(rows[0]);
}

export async function findDeliveryByForgeId(
  db: Database,
  delivery: { forge: string; deliveryId: string },
): Promise<Delivery | undefined> {
  const { rows } = await db.query<DeliveryRow>(
    `select ${COLUMNS} from deliveries where forge = $1 and delivery_id = $2`,
    [delivery.forge, delivery.deliveryId],
  );
  return rows[0] && toDelivery(rows[0]);
}

/** Newest first. */
export async function listDeliveries(
  db: Database,
  filter: { repositoryId?: number; subject?: string; fate?: Fate; before?: string; limit?: number } = {},
): Promise<Delivery[]> {
  const { rows } = await db.query<DeliveryRow>(
    `select ${COLUMNS} from deliveries
     where ($1::bigint is null or repository_id = $1) and ($2::text is null or subjects @> array[$2])
       and ($3::text is null or fate = $3) and ($4::bigint is null or id < $4)
     order by deliveries.id desc limit $5`,
    [
      filter.repositoryId ?? null,
      filter.subject ?? null,
      filter.fate ?? null,
      filter.before ?? null,
      Math.min(filter.limit ?? 50, 500),
    ],
  );
  return rows.map(toDelivery);
}

/**
 * Deliveries that hint at a subject and are not settled yet, oldest first. Observe reads them before it reads the
 * subject, and settles just these: one that comes in between is a reason to look again.
 */
export async function unsettledDeliveriesOf(
  db: Database,
  of: { repositoryId: number; subject: string },
): Promise<Delivery[]> {
  const { rows } = await db.query<DeliveryRow>(
    `select ${COLUMNS} from deliveries
     where repository_id = $1 and subjects @> array[$2] and fate in ('received', 'queued') order by deliveries.id limit 500`,
    [of.repositoryId, of.subject],
  );
  return rows.map(toDelivery);
}

/** Deliveries that should long have been settled, oldest first: the queue was down, or lost its contents. */
export async function unsettledDeliveries(db: Database, olderThan: Date): Promise<Delivery[]> {
  const { rows } = await db.query<DeliveryRow>(
    `select ${COLUMNS} from deliveries where fate in ('received', 'queued') and received_at < $1 order by deliveries.id limit 1000`,
    [olderThan],
  );
  return rows.map(toDelivery);
}

/** Forgets settled deliveries. Keep them longer than the three days in which the forge can redeliver. */
export async function deleteDeliveries(db: Database, receivedBefore: Date): Promise<number> {
  const { rowCount } = await db.query(
    `delete from deliveries where received_at < $1 and fate not in ('received', 'queued')`,
    [receivedBefore],
  );
  return rowCount ?? 0;
}
