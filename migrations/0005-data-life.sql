-- The life of a project's data: when its golden snapshots are made anew, from where, and which of its previews want other data.

-- Whether a golden snapshot is to be made, and how the last attempt went. A job of the queue `data` only looks here.
create table data_refreshes (
  project_id bigint primary key references projects (id),
  -- by a person, or because production was deployed
  asked_at timestamptz,
  asked_by text,
  -- null while none is under way
  started_at timestamptz,
  progress text,
  -- the start of the newest attempt that ended, and the `data:` policy under which it was made
  attempted_at timestamptz,
  policy_digest text,
  -- in words, what came of it; why captures fail is in their snapshot
  note text,
  -- when the policy's schedule, or the last failure, wants the next
  due_at timestamptz
);

-- A golden snapshot belongs to a project; only one of a production that runs here has an environment too.
alter table snapshots add column project_id bigint references projects (id);
update snapshots set project_id = (select project_id from environments where environments.id = snapshots.environment_id);
alter table snapshots alter column project_id set not null;
alter table snapshots alter column environment_id drop not null;
create index snapshots_of_project on snapshots (project_id, id desc);

-- `data_epoch` is part of the volumes' names: other data comes in other volumes, beside those that are in use.
alter table environments
  add column data_epoch bigint not null default 0,
  -- the newest request for other data (sync, reset), and the newest that was carried out or refused
  add column data_request_id bigint,
  add column data_answered_id bigint,
  -- what was decided about the one that is under way
  add column data_pending jsonb;
