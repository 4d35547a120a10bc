-- Whose code an environment runs: of people who may write to the repository, or of anybody.
alter table environments add column trust text not null default 'trusted' check (trust in ('trusted', 'untrusted'));

-- Somebody with write access let one commit of an untrusted pull request run, with the manifest and under the policy that
-- the commit and the default branch had then.
create table approvals (
  id bigint generated always as identity primary key,
  project_id bigint not null references projects (id),
  subject text not null,
  commit text not null,
  manifest_digest text not null,
  policy_digest text not null,
  approved_by text not null,
  approved_at timestamptz not null default now(),
  -- until then it may start something new
  expires_at timestamptz not null,
  request_id bigint unique references requests (id)
);
create index approvals_of_subject on approvals (project_id, subject, id desc);
