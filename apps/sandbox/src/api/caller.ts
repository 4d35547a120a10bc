import { createPublicKey, type KeyObject, randomBytes, timingSafeEqual, verify } from 'node:crypto';
import { GithubError } from '../github-error.ts';
import { appLogin, type World } from '../world.ts';

/** Who calls: a person's token, the App itself (a JSON web token), or one of its installations. */
export type Caller =
  | { kind: 'token'; login: string }
  | { kind: 'app' }
  | { kind: 'installation'; login: string; installationId: number; appId: number };

export interface Credentials {
  token: string;
  appPublicKey: KeyObject;
}

const TOKEN_LIFETIME_MS = 60 * 60_000;
const MAX_JWT_LIFETIME_S = 10 * 60;
const CLOCK_SKEW_S = 60;

export function publicKeyOf(privateKey: string): KeyObject {
  return createPublicKey(privateKey);
}

/** Undefined when the credentials are absent or wrong. The header is `Bearer x`, `token x`, or Basic with x as password. */
export function authenticate(
  world: World,
  credentials: Credentials,
  header: string | undefined,
): Caller | undefined {
  const secret = secretOf(header);
  if (secret === undefined) return undefined;
  if (equal(secret, credentials.token)) return { kind: 'token', login: world.tokenUser };
  const held = world.state.installationTokens.find((candidate) => equal(secret, candidate.token));
  if (held) {
    if (Date.parse(held.expiresAt) < Date.now()) return undefined;
    const { installationId } = held;
    return { kind: 'installation', login: appLogin(world), installationId, appId: world.state.app.id };
  }
  if (secret.split('.').length === 3) {
    verifyJwt(secret, credentials.appPublicKey, world.state.app.id);
    return { kind: 'app' };
  }
  return undefined;
}

function secretOf(header: string | undefined): string | undefined {
  const [scheme = '', value = ''] = (header ?? '').split(' ');
  if (/^(bearer|token)$/i.test(scheme)) return value;
  if (!/^basic$/i.test(scheme)) return undefined;
  const text = Buffer.from(value, 'base64').toString('utf8');
  return text.slice(text.indexOf(':') + 1);
}

function equal(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** GitHub's rules: RS256, issued by this App, not expired, valid for at most ten minutes. */
function verifyJwt(token: string, key: KeyObject, appId: number): void {
  const [head = '', body = '', signature = ''] = token.split('.');
  const undecodable = new GithubError(401, 'A JSON web token could not be decoded');
  const header = decode(head);
  const claims = decode(body);
  if (!header || !claims || header.alg !== 'RS256') throw undecodable;
  if (!verify('RSA-SHA256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url'))) {
    throw undecodable;
  }
  const nowS = Math.floor(Date.now() / 1000);
  if (String(claims.iss) !== String(appId)) throw new GithubError(401, 'Integration not found');
  if (typeof claims.exp !== 'number' || claims.exp < nowS) {
    throw new GithubError(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    );
  }
  if (claims.exp > nowS + MAX_JWT_LIFETIME_S + CLOCK_SKEW_S) {
    throw new GithubError(401, "'Expiration time' claim ('exp') is too far in the future");
  }
  if (typeof claims.iat !== 'number' || claims.iat > nowS + CLOCK_SKEW_S) {
    throw new GithubError(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    );
  }
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export function createInstallationToken(world: World, installationId: number) {
  const expiresAt = new Date(Date.now() + TOKEN_LIFETIME_MS).toISOString().replace(/\.\d+Z$/, 'Z');
  const token = `ghs_${randomBytes(18).toString('hex')}`;
  const { state } = world;
  state.installationTokens = state.installationTokens.filter(
    (held) => Date.parse(held.expiresAt) > Date.now(),
  );
  state.installationTokens.push({ token, installationId, expiresAt });
  world.file.save();
  return { token, expires_at: expiresAt };
}
