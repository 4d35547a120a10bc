-- A deployment's migration rehearsed on a fresh clone of production's data. The row is written with the deployment's end, so
-- that neither a crash nor a queue that is away loses it; `queued` and `running` are looked at again by resync.
create table rehearsals (
  id bigint generated always as identity primary key,
  environment_id bigint not null references environments (id),
  deployment_id bigint not null unique references deployments (id),
  state text not null default 'queued' check (state in ('queued', 'running', 'done', 'aborted')),
  -- digest of all that the result depends on: hook, artifacts, services, golden, policy. Equal keys are the same rehearsal
  key text,
  snapshot_id bigint references snapshots (id),
  verdict text check (verdict in ('pass', 'fail', 'not measured')),
  report jsonb,
  -- the rehearsal whose result this is, when it was not run again
  reused_id bigint references rehearsals (id),
  queued_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  check ((state = 'done') = (verdict is not null and report is not null))
);
create index rehearsals_of_environment on rehearsals (environment_id, id desc);
create index rehearsals_open on rehearsals (environment_id) where state in ('queued', 'running');
create index rehearsals_of_key on rehearsals (key) where state = 'done';
