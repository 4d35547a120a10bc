-- Sleep, wake, expiry, admission: what an environment needs so that it can be put aside and come back.
alter table environments
  -- the generation at which what it is made of changed last: a verified release of it, or of a later one, is what is wanted,
  -- and waking needs no deployment
  add column deploy_generation bigint not null default 1,
  -- why it is asleep, in words
  add column sleep_reason text,
  -- policy `previews:` as it was read with `policy_commit`
  add column idle_seconds bigint,
  add column expires_seconds bigint,
  add column priority integer not null default 0,
  -- somebody asked to keep it
  add column kept_until timestamptz,
  -- it has a place among those that run, since then
  add column admitted_at timestamptz,
  -- it waits for such a place, since then and at this position
  add column waiting_since timestamptz,
  add column waiting_position integer,
  -- held for a reason that deserves a check but no comment
  add column held_quiet boolean not null default false;
update environments set deploy_generation = generation;
update environments set admitted_at = now() where removed_at is null and release_deployment_id is not null;

-- Open pull requests that have no environment, and why: nobody looks at them again until they or the policy change.
create table declined_subjects (
  project_id bigint not null references projects (id),
  subject text not null,
  reason text not null,
  -- when the pull request was changed last, as the forge says
  subject_updated_at timestamptz,
  looked_at timestamptz not null default now(),
  primary key (project_id, subject)
);
