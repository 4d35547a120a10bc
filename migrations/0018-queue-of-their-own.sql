-- Two queues, two columns: since when a preview waits for a place among `previews.limits.environments`, and, in `waiting_since`,
-- since when it waits for a place on the machine. What is held may wait for both: what it ran before wakes like any other.
alter table environments add column limit_waiting_since timestamptz;
update environments set
  limit_waiting_since = waiting_since,
  waiting_since = case when waiting_for is not null then waiting_since end
where held_reason is not null and waiting_since is not null;

-- Who waits for room on the disk stands in nobody's way who needs none.
alter table environments drop constraint environments_waiting_for_check;
alter table environments add constraint environments_waiting_for_check check (waiting_for in ('machine', 'project', 'disk'));
