-- What people wrote in comments on pull requests, `/bough redeploy`: one row per comment, however often and by whichever
-- webhook its delivery comes. What it asks for is a request, made in the transaction that makes the row.
create table commands (
  id bigint generated always as identity primary key,
  project_id bigint not null references projects (id),
  subject text not null,
  -- the forge's; later comments have higher ones
  comment_id bigint not null,
  asked_by text not null,
  -- as written, with the argument: `/bough redeploy`
  command text not null,
  verdict text not null check (verdict in ('accepted', 'unknown', 'declined')),
  -- why it is declined or unknown; for `bough why`
  reason text,
  request_id bigint references requests (id),
  -- the words of the answer; null while there are none, and where the outcome of the request is the answer
  answer text,
  asked_at timestamptz not null default now(),
  unique (project_id, comment_id)
);
create index commands_of_subject on commands (project_id, subject, comment_id desc);
