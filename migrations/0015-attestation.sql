-- What a golden is, for people: its digest is among the facts that its attestation signs. Null: it is older than reports.
alter table snapshots add column report jsonb;
-- Who or what asked for it, and of the `data: source:` that it was filled from; null: it is older than this.
alter table snapshots add column why text;
alter table snapshots add column source_digest text;

-- Public halves of the keys that sign attestations. A former one still tells what was signed with it before, to whoever kept
-- a report; whether something may be cloned is decided by the keys in BOUGH_HOME alone.
create table attestation_keys (
  id text primary key,
  public_key text not null,
  created_at timestamptz not null default now(),
  retired_at timestamptz
);

-- Of production's schema just before the newest attempt: another one since makes the golden outdated. Null: it was not seen.
alter table data_refreshes add column schema_digest text;
