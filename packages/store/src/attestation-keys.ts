import type { Database } from './database.ts';

/** The public half of a key that signs, or signed, what goldens are. */
export interface AttestationKeyRow {
  readonly id: string;
  readonly publicKey: string;
  readonly createdAt: Date;
  /** Null: it is in use. */
  readonly retiredAt: Date | null;
}

/** This one is in use now, and no other is. */
export async function rememberAttestationKey(
  db: Database,
  key: { readonly id: string; readonly pem: string },
): Promise<void> {
  await db.query(
    `with other as (update attestation_keys set retired_at = now() where id <> $1 and retired_at is null)
     insert into attestation_keys (id, public_key) values ($1, $2) on conflict (id) do update set retired_at = null`,
    [key.id, key.pem],
  );
}

/** Newest first. */
export async function listAttestationKeys(db: Database): Promise<AttestationKeyRow[]> {
  const { rows } = await db.query<AttestationKeyRow>(
    `select id, public_key as "publicKey", created_at as "createdAt", retired_at as "retiredAt"
     from attestation_keys order by retired_at desc nulls first, created_at desc limit 200`,
  );
  return rows;
}
