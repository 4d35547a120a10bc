import type { Database } from './database.ts';

/**
 * Remembers what was seen without an owner, forgets what has one again, and returns those that enough listings in a row
 * agree on. Takes one complete listing.
 */
export async function sightOrphans<Orphan extends { kind: string; name: string }>(
  db: Database,
  seen: readonly Orphan[],
  listingsNeeded: number,
): Promise<Orphan[]> {
  const { rows } = await db.query<{ kind: string; name: string }>(
    `with given as (select distinct kind, name from jsonb_to_recordset($1::jsonb) as given (kind text, name text)),
     owned as (delete from orphans o where not exists (select from given g where (g.kind, g.name) = (o.kind, o.name))),
     counted as (
       insert into orphans (kind, name) select kind, name from given
       on conflict (kind, name) do update set listings = orphans.listings + 1
       returning kind, name, listings
     )
     select kind, name from counted where listings >= $2`,
    [JSON.stringify(seen.map(({ kind, name }) => ({ kind, name }))), listingsNeeded],
  );
  return seen.filter((orphan) => rows.some((row) => row.kind === orphan.kind && row.name === orphan.name));
}

export async function clearOrphans(
  db: Database,
  gone: readonly { kind: string; name: string }[],
): Promise<void> {
  for (const { kind, name } of gone)
    await db.query('delete from orphans where kind = $1 and name = $2', [kind, name]);
}
