import { gone, internals, mask, noPassword, type Preset } from './preset.ts';

/** Laravel, and what most applications add: Sanctum, Passport, Fortify, Telescope, Pulse, Spatie's packages. */
export const laravel: Preset = {
  tables: [
    { name: 'migrations', has: ['migration', 'batch'], rule: internals('Laravel') },
    {
      name: '*',
      has: ['email', 'password', 'remember_token'],
      rule: {
        columns: {
          name: mask('name'),
          email: mask('email'),
          password: noPassword,
          remember_token: gone,
          two_factor_secret: gone,
          two_factor_recovery_codes: gone,
        },
      },
    },
    { name: 'password_reset_tokens', has: ['email', 'token'], rule: 'truncate' },
    { name: 'password_resets', has: ['email', 'token'], rule: 'truncate' },
    { name: 'personal_access_tokens', has: ['tokenable_type', 'token'], rule: 'truncate' },
    { name: 'sessions', has: ['payload', 'last_activity'], rule: 'truncate' },
    { name: 'cache', has: ['key', 'value', 'expiration'], rule: 'truncate' },
    { name: 'cache_locks', has: ['key', 'owner', 'expiration'], rule: 'truncate' },
    // Jobs of production must not run in a preview, nor be tried again there.
    { name: 'jobs', has: ['queue', 'payload', 'attempts', 'available_at'], rule: 'truncate' },
    { name: 'failed_jobs', has: ['connection', 'queue', 'payload', 'exception'], rule: 'truncate' },
    { name: 'job_batches', has: ['total_jobs', 'pending_jobs', 'failed_job_ids'], rule: 'truncate' },
    { name: 'notifications', has: ['notifiable_type', 'notifiable_id', 'data'], rule: 'truncate' },
    { name: 'oauth_access_tokens', has: ['user_id', 'client_id', 'scopes', 'revoked'], rule: 'truncate' },
    { name: 'oauth_auth_codes', has: ['user_id', 'client_id', 'revoked'], rule: 'truncate' },
    { name: 'oauth_refresh_tokens', has: ['access_token_id', 'revoked'], rule: 'truncate' },
    { name: 'oauth_device_codes', has: ['user_code', 'revoked'], rule: 'truncate' },
    // What was watched and logged holds what was masked elsewhere.
    { name: 'telescope_*', has: ['entry_uuid'], rule: 'truncate' },
    { name: 'telescope_entries', has: ['uuid', 'content'], rule: 'truncate' },
    { name: 'telescope_monitoring', has: ['tag'], rule: 'truncate' },
    { name: 'pulse_*', has: ['type', 'key', 'key_hash'], rule: 'truncate' },
    { name: 'activity_log', has: ['log_name', 'subject_type', 'properties'], rule: 'truncate' },
    { name: 'audits', has: ['auditable_type', 'old_values', 'new_values'], rule: 'truncate' },
    // spatie/laravel-permission.
    { name: 'roles', has: ['name', 'guard_name'], rule: { keep: 'names of roles' } },
    { name: 'permissions', has: ['name', 'guard_name'], rule: { keep: 'names of permissions' } },
    {
      name: 'model_has_roles',
      has: ['role_id', 'model_type'],
      rule: { keep: 'who has which role, by number' },
    },
    {
      name: 'model_has_permissions',
      has: ['permission_id', 'model_type'],
      rule: { keep: 'who has which permission, by number' },
    },
  ],
};
