import { gone, keep, mask, type Preset, type PresetColumns } from './preset.ts';

const id = keep('a random id of a row');

const account = (names: { userId: string; providerAccountId: string }): PresetColumns => ({
  columns: {
    id,
    [names.userId]: id,
    type: keep('a kind of login'),
    provider: keep('names a kind of login'),
    [names.providerAccountId]: mask('token'),
    refresh_token: gone,
    access_token: gone,
    id_token: gone,
    session_state: gone,
    token_type: keep('a kind of token'),
    scope: keep('what a login may ask for'),
  },
});

const user: PresetColumns = {
  columns: { id, name: mask('name'), email: mask('email'), image: gone },
};

/** Auth.js (NextAuth) with its adapters for Prisma and PostgreSQL, which write names in either way. */
export const authjs: Preset = {
  tables: [
    { name: 'User', has: ['id', 'email', 'emailVerified'], rule: user },
    { name: 'users', has: ['id', 'email', 'emailVerified'], rule: user },
    { name: 'users', has: ['id', 'email', 'email_verified', 'image'], rule: user },
    {
      name: 'Account',
      has: ['userId', 'provider', 'providerAccountId'],
      rule: account({ userId: 'userId', providerAccountId: 'providerAccountId' }),
    },
    {
      name: 'accounts',
      has: ['userId', 'provider', 'providerAccountId'],
      rule: account({ userId: 'userId', providerAccountId: 'providerAccountId' }),
    },
    {
      name: 'accounts',
      has: ['user_id', 'provider', 'provider_account_id'],
      rule: account({ userId: 'user_id', providerAccountId: 'provider_account_id' }),
    },
    { name: 'Session', has: ['sessionToken', 'userId'], rule: 'truncate' },
    { name: 'sessions', has: ['sessionToken', 'userId'], rule: 'truncate' },
    { name: 'sessions', has: ['session_token', 'user_id'], rule: 'truncate' },
    { name: 'VerificationToken', has: ['identifier', 'token', 'expires'], rule: 'truncate' },
    { name: 'verification_token', has: ['identifier', 'token', 'expires'], rule: 'truncate' },
    { name: 'verification_tokens', has: ['identifier', 'token', 'expires'], rule: 'truncate' },
    { name: 'Authenticator', has: ['credentialID', 'credentialPublicKey'], rule: 'truncate' },
  ],
};
