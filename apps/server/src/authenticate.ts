import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { BoughError } from '@bough/domain/bough-error';
import type { Secret } from '@bough/domain/secret';
import type { FastifyRequest } from 'fastify';

/**
 * Who may use the API and the pages: whoever has the admin token, as a bearer token or as the session that a login with
 * it gave. A session is a signed expiry time, so servers share it without storing it, and a new token ends it.
 */
export interface Authentication {
  /** BoughError `unauthorized`. */
  require(request: FastifyRequest): void;
  hasSession(request: FastifyRequest): boolean;
  isToken(token: string): boolean;
  /** `set-cookie` of a new session. */
  startSession(): string;
  endSession(): string;
}

const cookieName = 'bough_session';
const sessionMs = 12 * 3_600_000;

export function createAuthentication(options: { adminToken: Secret; publicUrl: string }): Authentication {
  const { adminToken } = options;
  const attributes = `Path=/; HttpOnly; SameSite=Lax${options.publicUrl.startsWith('https:') ? '; Secure' : ''}`;

  function isToken(token: string): boolean {
    return timingSafeEqual(digest(token), digest(adminToken.reveal()));
  }

  function sign(expiresAt: string): string {
    return createHmac('sha256', adminToken.reveal()).update(`bough session ${expiresAt}`).digest('base64url');
  }

  function hasSession(request: FastifyRequest): boolean {
    const [expiresAt = '', signature = ''] = readCookie(request.headers.cookie).split('.');
    if (!/^\d{1,15}$/.test(expiresAt) || Number(expiresAt) < Date.now()) return false;
    return timingSafeEqual(digest(signature), digest(sign(expiresAt)));
  }

  return {
    isToken,
    hasSession,
    require(request) {
      const [scheme, token] = (request.headers.authorization ?? '').split(' ');
      if (scheme?.toLowerCase() === 'bearer' && token && isToken(token)) return;
      if (request.headers.authorization === undefined && isOwnPage(request) && hasSession(request)) return;
      throw unauthorized(request.headers.authorization !== undefined);
    },
    startSession() {
      const expiresAt = String(Date.now() + sessionMs);
      return `${cookieName}=${expiresAt}.${sign(expiresAt)}; Max-Age=${sessionMs / 1000}; ${attributes}`;
    },
    endSession: () => `${cookieName}=; Max-Age=0; ${attributes}`,
  };
}

/** A session changes something only for our own pages: browsers send the cookie for other sites' requests too. */
function isOwnPage(request: FastifyRequest): boolean {
  if (request.method === 'GET' || request.method === 'HEAD') return true;
  try {
    return new URL(request.headers.origin ?? '').host === request.headers.host;
  } catch {
    return false;
  }
}

function readCookie(header: string | undefined): string {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${cookieName}=`))?.slice(cookieName.length + 1) ?? '';
}

/** Equal lengths for the comparison, whatever came in. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function unauthorized(wasGiven: boolean): BoughError {
  return new BoughError({
    code: 'unauthorized',
    message: wasGiven ? 'This is not the admin token.' : 'This needs the admin token.',
    hint: 'Send `Authorization: Bearer <token>` with BOUGH_ADMIN_TOKEN, or what BOUGH_HOME/admin-token holds.',
  });
}
