-- Who may read the repository: links of previews stand in comments of private ones only. Not known until the forge was asked, and
-- then nobody is given a link.
alter table projects add column private boolean not null default false;
alter table environments
  -- part of what links are signed over: a higher one ends all that were made
  add column link_epoch integer not null default 0,
  -- what somebody who approves a stranger's commit is shown: its manifest's differences and what would run
  add column held_review jsonb;
