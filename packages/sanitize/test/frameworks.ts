/** Tables as the frameworks' own migrations make them, shortened to what is kept in them, each with rows of people. */
export const frameworks: Readonly<Record<string, string>> = {
  rails: `
    create table schema_migrations (version varchar primary key);
    create table ar_internal_metadata (key varchar primary key, value varchar, created_at timestamp not null, updated_at timestamp not null);
    create table members (id bigserial primary key, email varchar not null default '' unique, encrypted_password varchar not null default '',
      reset_password_token varchar unique, reset_password_sent_at timestamp, remember_created_at timestamp, sign_in_count int not null default 0,
      current_sign_in_at timestamp, current_sign_in_ip inet, last_sign_in_ip inet, confirmation_token varchar unique, unconfirmed_email varchar,
      created_at timestamp not null);
    create table sessions (id bigserial primary key, session_id varchar not null, data text, created_at timestamp);
    create table active_storage_blobs (id bigserial primary key, key varchar not null unique, filename varchar not null, content_type varchar,
      metadata text, service_name varchar not null, byte_size bigint not null, checksum varchar, created_at timestamp not null);
    create table active_storage_attachments (id bigserial primary key, name varchar not null, record_type varchar not null, record_id bigint not null,
      blob_id bigint not null references active_storage_blobs, created_at timestamp not null);
    create table action_text_rich_texts (id bigserial primary key, name varchar not null, body text, record_type varchar not null, record_id bigint not null);
    create table versions (id bigserial primary key, item_type varchar not null, item_id bigint not null, event varchar not null, whodunnit varchar, object text);
    create table delayed_jobs (id bigserial primary key, priority int not null default 0, attempts int not null default 0, handler text not null, run_at timestamp);
    create table solid_queue_jobs (id bigserial primary key, queue_name varchar not null, class_name varchar not null, arguments text, created_at timestamp not null);
    create table oauth_applications (id bigserial primary key, name varchar not null, uid varchar not null unique, secret varchar not null, redirect_uri text,
      scopes varchar not null default '');
    insert into schema_migrations values ('20260101000000');
    insert into ar_internal_metadata values ('environment', 'production', now(), now());
    insert into members (email, encrypted_password, reset_password_token, current_sign_in_ip, created_at)
      select 'real' || i || '@corp.de', '$2a$12$real' || i, 'reset-real-' || i, '91.1.2.3', now() from generate_series(1, 40) i;
    insert into sessions (session_id, data) select 'sid-real-' || i, 'real' from generate_series(1, 40) i;
    insert into active_storage_blobs (key, filename, content_type, metadata, service_name, byte_size, checksum, created_at)
      select md5(i::text), 'passport of person ' || i || '.pdf', 'application/pdf', '{"identified":true}', 'local', 1, 'x', now() from generate_series(1, 40) i;
    insert into active_storage_attachments (name, record_type, record_id, blob_id, created_at) select 'avatar', 'Member', i, i, now() from generate_series(1, 40) i;
    insert into action_text_rich_texts (name, body, record_type, record_id) select 'bio', 'the life of person ' || i, 'Member', i from generate_series(1, 40) i;
    insert into versions (item_type, item_id, event, object) select 'Member', i, 'update', 'real' || i || '@corp.de' from generate_series(1, 40) i;
    insert into delayed_jobs (handler) values ('mail to real1@corp.de');
    insert into solid_queue_jobs (queue_name, class_name, created_at) values ('default', 'Mail', now());
    insert into oauth_applications (name, uid, secret) values ('App', 'uid-of-the-application', 'secret-of-the-application');
    -- Another table of that name than the preset means: no rule of it speaks of this one.
    create table audits (id bigserial primary key, result int);
    insert into audits (result) values (7);`,
  django: `
    create table django_migrations (id bigserial primary key, app varchar(255) not null, name varchar(255) not null, applied timestamptz not null);
    create table django_content_type (id serial primary key, app_label varchar(100) not null, model varchar(100) not null, unique (app_label, model));
    create table auth_permission (id serial primary key, name varchar(255) not null, content_type_id int not null references django_content_type, codename varchar(100) not null);
    create table auth_group (id serial primary key, name varchar(150) not null unique);
    create table auth_user (id serial primary key, password varchar(128) not null, last_login timestamptz, is_superuser boolean not null,
      username varchar(150) not null unique, first_name varchar(150) not null, last_name varchar(150) not null, email varchar(254) not null,
      is_staff boolean not null, is_active boolean not null, date_joined timestamptz not null);
    create table django_session (session_key varchar(40) primary key, session_data text not null, expire_date timestamptz not null);
    create table django_admin_log (id serial primary key, action_time timestamptz not null, object_id text, object_repr varchar(200) not null,
      action_flag smallint not null, change_message text not null, user_id int not null references auth_user);
    create table my_cache (cache_key varchar(255) primary key, value text not null, expires timestamptz not null);
    create table authtoken_token (key varchar(40) primary key, created timestamptz not null, user_id int not null unique references auth_user);
    create table account_emailaddress (id serial primary key, email varchar(254) not null unique, verified boolean not null, "primary" boolean not null, user_id int references auth_user);
    insert into django_migrations (app, name, applied) values ('auth', '0001_initial', now());
    insert into django_content_type (app_label, model) values ('auth', 'user');
    insert into auth_permission (name, content_type_id, codename) values ('Can add user', 1, 'add_user');
    insert into auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
      select 'pbkdf2_sha256$real$' || i, false, 'realuser' || i, 'Erika', 'Mustermann' || i, 'real' || i || '@corp.de', false, true, now() from generate_series(1, 40) i;
    insert into django_session select 'session-real-' || i, 'x', now() from generate_series(1, 40) i;
    insert into django_admin_log (action_time, object_repr, action_flag, change_message, user_id) select now(), 'real' || i || '@corp.de', 1, '', i from generate_series(1, 40) i;
    insert into my_cache values ('k', 'real1@corp.de', now());
    insert into authtoken_token select md5(i::text), now(), i from generate_series(1, 40) i;
    insert into account_emailaddress (email, verified, "primary", user_id) select 'real' || i || '@corp.de', true, true, i from generate_series(1, 40) i;`,
  laravel: `
    create table migrations (id serial primary key, migration varchar(255) not null, batch int not null);
    create table users (id bigserial primary key, name varchar(255) not null, email varchar(255) not null unique, email_verified_at timestamp,
      password varchar(255) not null, remember_token varchar(100), created_at timestamp);
    create table password_reset_tokens (email varchar(255) primary key, token varchar(255) not null, created_at timestamp);
    create table sessions (id varchar(255) primary key, user_id bigint, ip_address varchar(45), user_agent text, payload text not null, last_activity int not null);
    create table cache (key varchar(255) primary key, value text not null, expiration int not null);
    create table jobs (id bigserial primary key, queue varchar(255) not null, payload text not null, attempts smallint not null, reserved_at int, available_at int not null, created_at int not null);
    create table failed_jobs (id bigserial primary key, uuid varchar(255) not null unique, connection text not null, queue text not null, payload text not null, exception text not null, failed_at timestamp not null default now());
    create table personal_access_tokens (id bigserial primary key, tokenable_type varchar(255) not null, tokenable_id bigint not null, name varchar(255) not null, token varchar(64) not null unique);
    create table notifications (id uuid primary key, type varchar(255) not null, notifiable_type varchar(255) not null, notifiable_id bigint not null, data text not null);
    create table roles (id bigserial primary key, name varchar(255) not null, guard_name varchar(255) not null);
    insert into migrations (migration, batch) values ('0001_01_01_000000_create_users_table', 1);
    insert into users (name, email, password, remember_token) select 'Erika Mustermann' || i, 'real' || i || '@corp.de', '$2y$12$real' || i, 'remember' || i from generate_series(1, 40) i;
    insert into password_reset_tokens select 'real' || i || '@corp.de', 't' from generate_series(1, 40) i;
    insert into sessions values ('sid', 1, '91.1.2.3', 'Firefox', 'real', 1);
    insert into cache values ('k', 'real1@corp.de', 1);
    insert into jobs (queue, payload, attempts, available_at, created_at) values ('default', 'mail to real1@corp.de', 0, 1, 1);
    insert into failed_jobs (uuid, connection, queue, payload, exception) values ('u', 'c', 'q', 'mail to real1@corp.de', 'e');
    insert into personal_access_tokens (tokenable_type, tokenable_id, name, token) values ('User', 1, 'phone of Erika', 'x');
    insert into roles (name, guard_name) values ('editor', 'web');`,
  symfony: `
    create table doctrine_migration_versions (version varchar(191) primary key, executed_at timestamp, execution_time int);
    create table "user" (id serial primary key, email varchar(180) not null unique, roles json not null, password varchar(255) not null);
    create table messenger_messages (id bigserial primary key, body text not null, headers text not null, queue_name varchar(190) not null, created_at timestamp not null, available_at timestamp not null, delivered_at timestamp);
    create table reset_password_request (id serial primary key, user_id int not null references "user", selector varchar(20) not null, hashed_token varchar(100) not null, requested_at timestamp not null, expires_at timestamp not null);
    create table sessions (sess_id varchar(128) primary key, sess_data bytea not null, sess_lifetime int not null, sess_time int not null);
    insert into doctrine_migration_versions values ('DoctrineMigrations\\Version20260101', now(), 12);
    insert into "user" (email, roles, password) select 'real' || i || '@corp.de', '["ROLE_ADMIN"]', '$2y$13$real' || i from generate_series(1, 40) i;
    insert into messenger_messages (body, headers, queue_name, created_at, available_at) values ('mail to real1@corp.de', '[]', 'default', now(), now());
    insert into reset_password_request (user_id, selector, hashed_token, requested_at, expires_at) values (1, 's', 'h', now(), now());
    insert into sessions values ('sid', 'x', 1, 1);`,
  // Its tables in PostgreSQL's types: the rules are plain SQL.
  wordpress: `
    create table wp_users ("ID" bigserial primary key, user_login varchar(60) not null, user_pass varchar(255) not null, user_nicename varchar(50) not null,
      user_email varchar(100) not null, user_url varchar(100) not null, user_registered timestamp, user_activation_key varchar(255) not null, user_status int, display_name varchar(250) not null);
    create table wp_usermeta (umeta_id bigserial primary key, user_id bigint not null, meta_key varchar(255), meta_value text);
    create table wp_options (option_id bigserial primary key, option_name varchar(191) not null unique, option_value text not null, autoload varchar(20) not null);
    create table wp_comments ("comment_ID" bigserial primary key, "comment_post_ID" bigint not null, comment_author text not null, comment_author_email varchar(100) not null,
      comment_author_url varchar(200) not null, "comment_author_IP" varchar(100) not null, comment_date timestamp, comment_content text not null, comment_karma int,
      comment_approved varchar(20) not null, comment_agent varchar(255) not null, comment_type varchar(20) not null, comment_parent bigint, user_id bigint);
    insert into wp_users (user_login, user_pass, user_nicename, user_email, user_url, user_activation_key, display_name)
      select 'realuser' || i, '$P$Breal' || i, 'realuser' || i, 'real' || i || '@corp.de', 'https://real.corp.de', '', 'Erika Mustermann' || i from generate_series(1, 40) i;
    insert into wp_usermeta (user_id, meta_key, meta_value) select i, k, v from generate_series(1, 40) i,
      (values ('wp_capabilities', 'a:1:{s:13:"administrator";b:1;}'), ('session_tokens', 'real'), ('billing_phone', '+49 170 1234567')) m (k, v);
    insert into wp_options (option_name, option_value, autoload) values ('siteurl', 'https://shop.example.com', 'yes'), ('admin_email', 'boss@corp.de', 'yes'),
      ('smtp_password', 'real', 'no'), ('_transient_feed', 'real', 'no'), ('wp_user_roles', 'a:0:{}', 'yes'), ('cron', 'real', 'yes');
    insert into wp_comments ("comment_post_ID", comment_author, comment_author_email, comment_author_url, "comment_author_IP", comment_content, comment_approved, comment_agent, comment_type)
      select i, 'Erika Mustermann' || i, 'real' || i || '@corp.de', 'https://real.corp.de', '91.1.2.3', 'call me, person ' || i, '1', 'Firefox', 'comment' from generate_series(1, 40) i;`,
  authjs: `
    create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null, finished_at timestamptz, migration_name varchar(255) not null, logs text, started_at timestamptz not null default now(), applied_steps_count int not null default 0);
    create table "User" (id text primary key, name text, email text unique, "emailVerified" timestamp, image text);
    create table "Account" (id text primary key, "userId" text not null references "User", type text not null, provider text not null, "providerAccountId" text not null, refresh_token text, access_token text, expires_at int, token_type text, scope text, id_token text, session_state text, unique (provider, "providerAccountId"));
    create table "Session" (id text primary key, "sessionToken" text not null unique, "userId" text not null references "User", expires timestamp not null);
    create table "VerificationToken" (identifier text not null, token text not null unique, expires timestamp not null, unique (identifier, token));
    insert into _prisma_migrations (id, checksum, migration_name) values ('a', 'b', '20260101_init');
    insert into "User" select 'cl' || i, 'Erika Mustermann' || i, 'real' || i || '@corp.de', now(), 'https://pictures.corp.de/' || i from generate_series(1, 40) i;
    insert into "Account" select 'ac' || i, 'cl' || i, 'oauth', 'github', 'github-id-' || i, 'r' || i, 'a' || i, 1, 'bearer', 'read:user', 'i', 's' from generate_series(1, 40) i;
    insert into "Session" select 's' || i, 'session-token-' || i, 'cl' || i, now() from generate_series(1, 40) i;
    insert into "VerificationToken" values ('real1@corp.de', 't', now());`,
};
