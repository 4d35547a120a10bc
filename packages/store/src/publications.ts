import type { Database } from './database.ts';

export type PublicationKind = 'comment' | 'check' | 'status' | 'deployment';

/** What was last said on the forge: enough to find it again, and a hash to say nothing twice. */
export interface Publication {
  readonly kind: PublicationKind;
  readonly key: string;
  readonly externalId: string | null;
  readonly hash: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly failure: string | null;
  readonly publishedAt: Date;
  /** Tried so long ago that trying once more is no nuisance. */
  readonly isOld: boolean;
  /** So long ago that whatever a forge was still to do with an earlier request is done. */
  readonly isSettled: boolean;
}

export async function listPublications(db: Database, environmentId: string): Promise<Publication[]> {
  const { rows } = await db.query<Publication>(
    `select kind, key, external_id as "externalId", hash, detail, failure, published_at as "publishedAt",
       published_at < now() - interval '10 minutes' as "isOld", published_at < now() - interval '1 minute' as "isSettled"
     from publications where environment_id = $1 order by published_at`,
    [environmentId],
  );
  return rows;
}

/** What was said may not be there any more: it is said again at the next occasion, whether or not it changed. */
export async function doubtPublications(
  db: Database,
  environmentId: string,
  kind: PublicationKind,
): Promise<void> {
  await db.query('update publications set hash = null where environment_id = $1 and kind = $2', [
    environmentId,
    kind,
  ]);
}

export async function writePublication(
  db: Database,
  publication: {
    environmentId: string;
    kind: PublicationKind;
    key: string;
    externalId: string | null;
    hash: string | null;
    detail?: Readonly<Record<string, unknown>>;
    failure?: string | null;
  },
): Promise<void> {
  await db.query(
    `insert into publications (environment_id, kind, key, external_id, hash, detail, failure)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (environment_id, kind, key) do update set external_id = coalesce(excluded.external_id, publications.external_id),
       hash = excluded.hash, detail = excluded.detail, failure = excluded.failure, published_at = now()`,
    [
      publication.environmentId,
      publication.kind,
      publication.key,
      publication.externalId,
      publication.hash,
      JSON.stringify(publication.detail ?? {}),
      publication.failure ?? null,
    ],
  );
}
