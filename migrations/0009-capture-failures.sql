-- A capture that fails again and again is one row: how often, since when, why, and when it is tried next.
alter table snapshots add column failure_code text;
alter table snapshots add column failure_hint text;
alter table snapshots add column failures integer not null default 0;
alter table snapshots add column failing_since timestamptz;
alter table snapshots add column retry_at timestamptz;
