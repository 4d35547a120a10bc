-- What Bough keeps because it may be needed again, a row for each kind: how much of it there was when it was measured
-- last, and all that was ever pruned.
create table budgets (
  kind text primary key,
  budget_bytes bigint not null,
  used_bytes bigint not null,
  -- Of these, in use: never pruned.
  pinned_bytes bigint not null,
  items integer not null,
  measured_at timestamptz not null default now(),
  pruned_items bigint not null default 0,
  pruned_bytes bigint not null default 0,
  pruned_at timestamptz,
  -- Why the last measuring or pruning of this kind did not work.
  failure text
);
