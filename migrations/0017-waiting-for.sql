-- What an environment waits for in the queue of capacity: a place on the machine, or one among those that its project may run at
-- once. Whoever waits for the project stands in nobody else's way.
alter table environments add column waiting_for text check (waiting_for in ('machine', 'project'));
