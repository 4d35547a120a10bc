import { constant, internals, keep, mask, type Preset } from './preset.ts';

/** Django's own apps, and those that most sites have: REST framework, allauth, OAuth toolkit, Celery, reversion, axes. */
export const django: Preset = {
  tables: [
    { name: 'django_migrations', has: ['app', 'name', 'applied'], rule: internals('Django') },
    { name: 'django_content_type', has: ['app_label', 'model'], rule: internals('Django') },
    { name: 'auth_permission', has: ['codename', 'content_type_id'], rule: internals('Django') },
    { name: 'django_site', has: ['domain', 'name'], rule: { keep: 'the public name of the site' } },
    { name: 'auth_group', has: ['id', 'name'], rule: { keep: 'names of roles' } },
    { name: 'django_session', has: ['session_key', 'session_data'], rule: 'truncate' },
    { name: 'django_admin_log', has: ['object_repr', 'change_message'], rule: 'truncate' },
    // The database cache: its table is named by the settings.
    { name: '*', has: ['cache_key', 'value', 'expires'], rule: 'truncate' },
    // auth_user and what extends AbstractUser; "!" is what Django itself writes for "no password".
    {
      name: '*',
      has: ['password', 'last_login', 'is_superuser'],
      rule: {
        columns: {
          password: constant('!'),
          username: mask('token'),
          first_name: mask('first-name'),
          last_name: mask('last-name'),
          email: mask('email'),
        },
      },
    },
    { name: 'authtoken_token', has: ['key', 'user_id'], rule: 'truncate' },
    {
      name: 'account_emailaddress',
      has: ['email', 'verified', 'primary'],
      rule: { columns: { email: mask('email') } },
    },
    { name: 'account_emailconfirmation', has: ['key', 'email_address_id'], rule: 'truncate' },
    { name: 'socialaccount_socialaccount', has: ['provider', 'uid', 'extra_data'], rule: 'truncate' },
    { name: 'socialaccount_socialtoken', has: ['token', 'token_secret'], rule: 'truncate' },
    {
      name: 'socialaccount_socialapp',
      has: ['client_id', 'secret', 'key'],
      rule: {
        columns: {
          provider: keep('names a kind of login'),
          name: keep('names a login of the site'),
          client_id: mask('token'),
          secret: mask('token'),
          key: constant(''),
        },
      },
    },
    { name: 'oauth2_provider_accesstoken', has: ['token', 'expires'], rule: 'truncate' },
    { name: 'oauth2_provider_refreshtoken', has: ['token', 'application_id'], rule: 'truncate' },
    { name: 'oauth2_provider_grant', has: ['code', 'redirect_uri'], rule: 'truncate' },
    { name: 'oauth2_provider_idtoken', has: ['jti', 'expires'], rule: 'truncate' },
    { name: 'otp_totp_totpdevice', has: ['key', 'user_id'], rule: 'truncate' },
    { name: 'otp_static_statictoken', has: ['token', 'device_id'], rule: 'truncate' },
    // Histories hold what was masked elsewhere.
    { name: 'reversion_version', has: ['serialized_data', 'object_repr'], rule: 'truncate' },
    { name: 'reversion_revision', has: ['date_created', 'comment'], rule: 'truncate' },
    { name: 'auditlog_logentry', has: ['object_repr', 'changes'], rule: 'truncate' },
    { name: 'axes_accessattempt', has: ['ip_address', 'username'], rule: 'truncate' },
    { name: 'axes_accesslog', has: ['ip_address', 'username'], rule: 'truncate' },
    { name: 'axes_accessfailurelog', has: ['ip_address', 'username'], rule: 'truncate' },
    // Work of production must not be done in a preview.
    { name: 'django_celery_results_*', has: ['id'], rule: 'truncate' },
    { name: 'django_q_ormq', has: ['key', 'payload'], rule: 'truncate' },
    { name: 'django_q_task', has: ['func', 'args'], rule: 'truncate' },
  ],
};
