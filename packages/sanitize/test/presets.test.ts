import { presetNames, type SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unusedRules } from '../src/decide.ts';
import { type SanitizeResult, sanitizeCluster } from '../src/sanitize-cluster.ts';
import { frameworks } from './frameworks.ts';
import { policyOf } from './policies.ts';
import { startTestServer, type TestServer } from './private-server.ts';

// Every framework in a database of its own, sanitized by their presets and the words for harmless kinds alone.

const timeoutMs = 180_000;
const policy: SanitizePolicy = policyOf({}, { presets: presetNames });
let postgres: TestServer;
let result: SanitizeResult;

beforeAll(async () => {
  postgres = await startTestServer();
  for (const [name, schema] of Object.entries(frameworks)) {
    await postgres.query('postgres', `create database ${name}`);
    await postgres.query(name, schema);
  }
  result = await sanitizeCluster({
    ...{ server: postgres.server, policy, key: Buffer.alloc(32, 7), line: () => {} },
    signal: AbortSignal.timeout(timeoutMs),
  });
}, timeoutMs);
afterAll(() => postgres?.remove());

test('presets alone decide every column of the frameworks, and what they do not meet is no mistake', () => {
  if (result.kind === 'findings') expect(result.findings).toEqual([]);
  expect(result.kind).toBe('sanitized');
  expect(unusedRules(policy, result.used)).toEqual([]);
  const decisions = result.kind === 'sanitized' ? result.report.decisions : [];
  expect(decisions).toContainEqual({ where: 'rails/members.email', rule: 'email (preset rails)' });
  expect(decisions).toContainEqual({ where: 'laravel/jobs', rule: 'truncate (preset laravel)' });
});

test.each<[string, string, object]>([
  [
    'rails',
    `select (select count(*) from members where email ~ '^u[0-9a-f]{16}@example\\.test$' and encrypted_password = ''
         and reset_password_token is null and current_sign_in_ip is null)::int members,
       (select count(*) from schema_migrations)::int migrations, (select value from ar_internal_metadata) environment,
       (select count(*) from active_storage_attachments a join active_storage_blobs b on b.id = a.blob_id
         where b.filename !~ 'person' and b.metadata is null and b.key = md5(b.id::text))::int files,
       (select count(*) from action_text_rich_texts where body !~ 'life')::int texts, (select result from audits) own,
       (select count(*) from sessions)::int + (select count(*) from versions)::int + (select count(*) from delayed_jobs)::int
         + (select count(*) from solid_queue_jobs)::int gone,
       (select count(*) from oauth_applications where secret ~ 'application')::int secrets`,
    {
      ...{ members: 40, migrations: 1, environment: 'production', files: 40, texts: 40, own: 7 },
      ...{ gone: 0, secrets: 0 },
    },
  ],
  [
    'django',
    `select (select count(*) from auth_user u join account_emailaddress a on a.user_id = u.id and a.email = u.email
         where u.password = '!' and u.username !~ 'real' and u.last_name !~ 'Mustermann')::int users,
       (select count(*) from django_migrations)::int migrations, (select codename from auth_permission) permission,
       (select count(*) from django_session)::int + (select count(*) from django_admin_log)::int + (select count(*) from my_cache)::int
         + (select count(*) from authtoken_token)::int gone`,
    { users: 40, migrations: 1, permission: 'add_user', gone: 0 },
  ],
  [
    'laravel',
    `select (select count(*) from users where email like '%@example.test' and length(password) = 60 and remember_token is null
         and name !~ 'Mustermann')::int users,
       (select migration from migrations) migration, (select name from roles) role,
       (select count(*) from password_reset_tokens)::int + (select count(*) from sessions)::int + (select count(*) from cache)::int
         + (select count(*) from jobs)::int + (select count(*) from failed_jobs)::int + (select count(*) from personal_access_tokens)::int gone`,
    { users: 40, migration: '0001_01_01_000000_create_users_table', role: 'editor', gone: 0 },
  ],
  [
    'symfony',
    `select (select count(*) from "user" where email like '%@example.test' and password !~ 'real' and roles->>0 = 'ROLE_ADMIN')::int users,
       (select count(*) from doctrine_migration_versions)::int migrations,
       (select count(*) from messenger_messages)::int + (select count(*) from reset_password_request)::int + (select count(*) from sessions)::int gone`,
    { users: 40, migrations: 1, gone: 0 },
  ],
  [
    'wordpress',
    `select (select count(*) from wp_users where user_email like '%@example.test' and user_pass = '!' and user_login !~ 'real' and user_url = '')::int users,
       (select string_agg(distinct meta_key || '=' || meta_value, ',') from wp_usermeta) meta,
       (select string_agg(option_name || '=' || option_value, ',' order by option_name) from wp_options) options,
       (select count(*) from wp_comments where comment_content !~ 'person' and "comment_author_IP" like '198.1%' and comment_approved = '1')::int comments`,
    {
      ...{ users: 40, comments: 40 },
      meta: 'wp_capabilities=a:1:{s:13:"administrator";b:1;}',
      options: 'siteurl=https://shop.example.com,wp_user_roles=a:0:{}',
    },
  ],
  [
    'authjs',
    `select (select count(*) from "Account" a join "User" u on u.id = a."userId" where a.provider = 'github' and a.access_token is null
         and a."providerAccountId" !~ 'github-id' and u.email like '%@example.test' and u.image is null)::int accounts,
       (select migration_name from _prisma_migrations) migration,
       (select count(*) from "Session")::int + (select count(*) from "VerificationToken")::int gone`,
    { accounts: 40, migration: '20260101_init', gone: 0 },
  ],
])('%s: people are masked, migrations kept, sessions and jobs gone', async (database, sql, expected) => {
  expect((await postgres.query(database, sql))[0]).toEqual(expected);
});
