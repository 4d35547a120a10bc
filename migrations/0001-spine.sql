-- The spine: what Bough knows. Facts only; what people are shown (the phase) is derived from them.

create table installation (
  singleton boolean primary key default true check (singleton),
  id text not null,
  created_at timestamptz not null default now()
);

create table projects (
  id bigint generated always as identity primary key,
  installation_id text not null,
  forge text not null,
  forge_host text not null,
  repository_id bigint not null,
  owner text not null,
  name text not null,
  slug text not null unique,
  default_branch text not null,
  production text not null default 'external' check (production in ('external', 'managed')),
  intake text not null default 'webhook' check (intake in ('webhook', 'app', 'poll')),
  webhook_id bigint,
  forge_installation_id bigint,
  poll_etag text,
  entropy text not null,
  state text not null default 'active' check (state in ('active', 'removed')),
  variables_revision bigint not null default 0,
  created_at timestamptz not null default now(),
  unique (forge_host, repository_id)
);

-- One webhook request. `fate` says what became of it; `reason` says why, in words for `bough why`.
create table deliveries (
  id bigint generated always as identity primary key,
  forge text not null,
  delivery_id text not null,
  event text not null,
  action text,
  repository_id bigint,
  subjects text[] not null default '{}',
  payload jsonb not null,
  fate text not null default 'received' check (fate in ('received', 'queued', 'observed', 'declined', 'ignored', 'failed')),
  reason text,
  attempts integer not null default 1,
  received_at timestamptz not null default now(),
  settled_at timestamptz,
  unique (forge, delivery_id)
);
create index deliveries_received_at on deliveries (received_at desc);
create index deliveries_unsettled on deliveries (repository_id) where fate in ('received', 'queued');

-- What a person asked for. Commands, buttons and the CLI write here; nothing acts on them but observe and reconcile.
create table requests (
  id bigint generated always as identity primary key,
  project_id bigint not null references projects (id),
  subject text not null,
  kind text not null check (kind in ('open', 'redeploy', 'rebuild', 'sync', 'reset', 'sleep', 'wake', 'keep', 'approve', 'delete')),
  argument text,
  asked_by text not null,
  asked_at timestamptz not null default now(),
  handled_at timestamptz,
  outcome text
);
create index requests_open on requests (project_id, subject) where handled_at is null;

create table environments (
  id bigint generated always as identity primary key,
  project_id bigint not null references projects (id),
  installation_id text not null,
  subject text not null,
  slug text not null unique,
  kind text not null check (kind in ('production', 'preview')),
  -- what the subject looked like when it was last read: title, author, branch, addresses (shown, never acted on)
  facts jsonb not null default '{}',
  desired_state text not null default 'running' check (desired_state in ('running', 'asleep', 'absent')),
  desired_commit text,
  policy_commit text,
  held_reason text,
  variables_revision bigint not null default 0,
  request_id bigint,
  generation bigint not null default 1,
  observed_generation bigint not null default 0,
  lease bigint not null default 0,
  running_step text,
  waiting_reason text,
  failure_code text,
  failure_message text,
  failure_hint text,
  failure_tail text[] not null default '{}',
  failures integer not null default 0,
  retry_at timestamptz,
  release_deployment_id bigint,
  data_snapshot_id bigint,
  data_state text not null default 'undecided' check (data_state in ('undecided', 'empty', 'cloned', 'seeded', 'own')),
  data_note text,
  last_request_at timestamptz,
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  removed_at timestamptz
);
-- One living environment per subject; a reopened pull request gets a row of its own.
create unique index environments_living on environments (project_id, subject) where removed_at is null;

create table deployments (
  id bigint generated always as identity primary key,
  environment_id bigint not null references environments (id),
  generation bigint not null,
  commit text not null,
  state text not null default 'running' check (state in ('running', 'ready', 'failed', 'superseded', 'cancelled')),
  fingerprint text,
  plan jsonb,
  failure_code text,
  failure_message text,
  failure_hint text,
  failure_tail text[] not null default '{}',
  failure_annotations jsonb not null default '[]',
  started_at timestamptz not null default now(),
  finished_at timestamptz
);
create index deployments_of_environment on deployments (environment_id, id desc);
create unique index deployments_running on deployments (environment_id) where state = 'running';

create table steps (
  id bigint generated always as identity primary key,
  deployment_id bigint not null references deployments (id),
  ordinal integer not null,
  name text not null,
  state text not null default 'running' check (state in ('running', 'done', 'cached', 'skipped', 'failed', 'aborted')),
  note text,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  unique (deployment_id, name)
);

create table artifacts (
  key text primary key,
  project_id bigint not null references projects (id),
  app text not null,
  tree_id text not null,
  commit text not null,
  size_bytes bigint not null,
  build_ms bigint not null,
  built_for text not null,
  built_at timestamptz not null default now(),
  last_used_at timestamptz not null default now()
);

create table deployment_artifacts (
  deployment_id bigint not null references deployments (id),
  app text not null,
  key text not null,
  cached boolean not null,
  primary key (deployment_id, app)
);

-- What the gateway serves. Written whole for an environment in one transaction, with a notification on channel `routes`.
create table routes (
  host text not null,
  path text not null default '/',
  environment_id bigint not null references environments (id),
  deployment_id bigint,
  route text not null,
  state text not null check (state in ('serving', 'swapping', 'starting', 'asleep', 'failed')),
  target_host text,
  target_port integer,
  redirect_to text,
  redirect_code integer,
  access jsonb not null,
  indexable boolean not null default false,
  is_primary boolean not null default false,
  updated_at timestamptz not null default now(),
  primary key (host, path)
);
create index routes_of_environment on routes (environment_id);

create table credentials (
  environment_id bigint not null references environments (id),
  name text not null,
  value_encrypted bytea not null,
  created_at timestamptz not null default now(),
  primary key (environment_id, name)
);

create table variables (
  project_id bigint not null references projects (id),
  name text not null,
  value_encrypted bytea not null,
  secret boolean not null,
  at_build boolean not null,
  at_run boolean not null,
  for_production boolean not null,
  for_preview boolean not null,
  updated_at timestamptz not null default now(),
  primary key (project_id, name)
);

-- A frozen copy of an environment's volumes. Only `frozen` with an attestation may be cloned.
create table snapshots (
  id bigint generated always as identity primary key,
  environment_id bigint not null references environments (id),
  state text not null default 'capturing' check (state in ('capturing', 'captured', 'sanitized', 'verified', 'frozen', 'failed', 'removed')),
  sanitize text not null,
  policy_commit text,
  source_commit text,
  -- service or mount name → { snapshot, type, version }
  volumes jsonb not null default '{}',
  credentials_encrypted bytea,
  attestation jsonb,
  failure_message text,
  size_bytes bigint,
  captured_at timestamptz,
  frozen_at timestamptz,
  created_at timestamptz not null default now()
);
create index snapshots_of_environment on snapshots (environment_id, id desc);

-- What was last said on the forge: enough to find it again, and a hash to say nothing twice.
create table publications (
  environment_id bigint not null references environments (id),
  kind text not null check (kind in ('comment', 'check', 'status', 'deployment')),
  key text not null default '',
  external_id text,
  hash text,
  detail jsonb not null default '{}',
  failure text,
  published_at timestamptz not null default now(),
  primary key (environment_id, kind, key)
);

create table events (
  id bigint generated always as identity primary key,
  project_id bigint references projects (id),
  environment_id bigint references environments (id),
  actor text not null,
  kind text not null,
  detail jsonb not null default '{}',
  at timestamptz not null default now()
);
create index events_of_environment on events (environment_id, id desc);

-- Things that no row owns, seen by resync. Reaped when two successive complete listings agree.
create table orphans (
  kind text not null,
  name text not null,
  first_seen_at timestamptz not null default now(),
  listings integer not null default 1,
  primary key (kind, name)
);
