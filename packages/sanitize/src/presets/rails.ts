import { constant, gone, internals, keep, mask, type Preset } from './preset.ts';

/** Rails, and the gems that most applications have: Devise, Doorkeeper, PaperTrail, Audited, Ahoy, queues, caches. */
export const rails: Preset = {
  tables: [
    { name: 'schema_migrations', has: ['version'], rule: internals('Rails') },
    { name: 'ar_internal_metadata', has: ['key', 'value'], rule: internals('Rails') },
    { name: 'sessions', has: ['session_id', 'data'], rule: 'truncate' },
    // Active Storage, Action Text, Action Mailbox.
    {
      name: 'active_storage_blobs',
      has: ['key', 'filename', 'checksum'],
      rule: {
        columns: {
          key: keep('a random name, by which the file is found'),
          filename: mask('free-text'),
          content_type: keep('the kind of a file'),
          metadata: gone,
          service_name: keep('names a storage service of the application'),
          checksum: keep('of a file'),
        },
      },
    },
    {
      name: 'active_storage_attachments',
      has: ['record_type', 'record_id', 'blob_id'],
      rule: { columns: { name: keep('names a relation'), record_type: keep('names a model') } },
    },
    {
      name: 'active_storage_variant_records',
      has: ['blob_id', 'variation_digest'],
      rule: { columns: { variation_digest: keep('of how a picture is cut') } },
    },
    {
      name: 'action_text_rich_texts',
      has: ['body', 'record_type', 'record_id'],
      rule: {
        columns: {
          name: keep('names a relation'),
          body: mask('free-text'),
          record_type: keep('names a model'),
        },
      },
    },
    { name: 'action_mailbox_inbound_emails', has: ['message_id', 'message_checksum'], rule: 'truncate' },
    // Devise: whatever the model is called.
    {
      name: '*',
      has: ['email', 'encrypted_password'],
      rule: {
        columns: {
          email: mask('email'),
          encrypted_password: constant(''),
          reset_password_token: gone,
          confirmation_token: gone,
          unconfirmed_email: gone,
          unlock_token: gone,
          invitation_token: gone,
          authentication_token: gone,
          otp_secret: gone,
          encrypted_otp_secret: gone,
          otp_backup_codes: gone,
          current_sign_in_ip: gone,
          last_sign_in_ip: gone,
        },
      },
    },
    // has_secure_password.
    {
      name: '*',
      has: ['password_digest'],
      rule: { columns: { password_digest: constant(`$2a$12$${'.'.repeat(53)}`) } },
    },
    { name: 'oauth_access_tokens', has: ['token', 'application_id'], rule: 'truncate' },
    { name: 'oauth_access_grants', has: ['token', 'redirect_uri'], rule: 'truncate' },
    {
      name: 'oauth_applications',
      has: ['uid', 'secret', 'redirect_uri'],
      rule: {
        columns: {
          name: keep('names an application'),
          uid: mask('token'),
          secret: mask('token'),
          redirect_uri: keep('an address of an application'),
          scopes: keep('what an application may ask for'),
        },
      },
    },
    // Histories hold what was masked elsewhere.
    { name: 'versions', has: ['item_type', 'item_id', 'event'], rule: 'truncate' },
    { name: 'audits', has: ['auditable_type', 'auditable_id'], rule: 'truncate' },
    { name: 'ahoy_visits', has: ['visit_token', 'visitor_token'], rule: 'truncate' },
    { name: 'ahoy_events', has: ['visit_id', 'properties'], rule: 'truncate' },
    { name: 'ahoy_messages', has: ['to', 'mailer'], rule: 'truncate' },
    // Jobs of production must not run in a preview.
    { name: 'delayed_jobs', has: ['handler', 'run_at'], rule: 'truncate' },
    { name: 'good_jobs', has: ['serialized_params'], rule: 'truncate' },
    { name: 'good_job_*', has: ['id', 'created_at'], rule: 'truncate' },
    { name: 'solid_queue_*', has: ['id', 'created_at'], rule: 'truncate' },
    { name: 'solid_cache_entries', has: ['key', 'value', 'key_hash'], rule: 'truncate' },
    { name: 'solid_cable_messages', has: ['channel', 'payload'], rule: 'truncate' },
    { name: 'que_jobs', has: ['job_class', 'args', 'run_at'], rule: 'truncate' },
  ],
};
