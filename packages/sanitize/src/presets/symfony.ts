import { internals, keep, mask, noPassword, type Preset } from './preset.ts';

/** Symfony's bundles on Doctrine. */
export const symfony: Preset = {
  tables: [
    {
      name: 'doctrine_migration_versions',
      has: ['version', 'executed_at', 'execution_time'],
      rule: internals('Doctrine'),
    },
    // make:user; the entity may be called otherwise.
    {
      name: '*',
      has: ['email', 'roles', 'password'],
      rule: {
        columns: { email: mask('email'), roles: keep('names of roles'), password: noPassword },
      },
    },
    { name: 'messenger_messages', has: ['body', 'headers', 'queue_name'], rule: 'truncate' },
    { name: 'reset_password_request', has: ['selector', 'hashed_token'], rule: 'truncate' },
    { name: 'rememberme_token', has: ['series', 'value', 'username'], rule: 'truncate' },
    { name: 'sessions', has: ['sess_id', 'sess_data'], rule: 'truncate' },
    { name: 'lock_keys', has: ['key_id', 'key_token'], rule: 'truncate' },
    { name: 'cache_items', has: ['item_id', 'item_data'], rule: 'truncate' },
    { name: 'ext_log_entries', has: ['object_class', 'data', 'username'], rule: 'truncate' },
  ],
};
