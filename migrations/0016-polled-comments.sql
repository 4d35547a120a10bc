-- Where reading comments on a polled repository has come to. `comments_after` is the newest comment's id when Bough began to
-- read: what is older is no command. Null: not begun. `comments_since` and `comments_etag` are the next request's.
alter table projects add column comments_after bigint;
alter table projects add column comments_since timestamptz;
alter table projects add column comments_etag text;
