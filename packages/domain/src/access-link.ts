import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from './secret.ts';

/** Query parameter of a signed link; the gateway takes it off before anything else sees the address. */
export const LINK_PARAMETER = 'bough_link';

/** What a signature lets in to. A higher epoch ends all that was signed before. */
export interface LinkScope {
  readonly environmentId: string;
  readonly epoch: number;
}

/** `link` stands in an address and is exchanged for a `visit`, which stands in a cookie: neither passes for the other. */
type Use = 'link' | 'visit';

const TOKEN = /^([0-9a-z]{1,10})\.([A-Za-z0-9_-]{43})$/;

/** Lets whoever has it in until then, to the second. */
export function signAccess(key: Secret, use: Use, scope: LinkScope, expiresAt: Date): string {
  const expires = Math.floor(expiresAt.getTime() / 1_000).toString(36);
  return `${expires}.${macOf(key, use, scope, expires).toString('base64url')}`;
}

export type SignedAccess =
  | { readonly kind: 'valid'; readonly expiresAt: Date }
  | { readonly kind: 'expired' | 'wrong' };

/** What a token is worth now. `expired` only for what was truly signed: guesses learn nothing. */
export function readAccess(key: Secret, use: Use, scope: LinkScope, token: string, now: Date): SignedAccess {
  const [, expires = '', mac = ''] = TOKEN.exec(token) ?? [];
  if (expires === '') return { kind: 'wrong' };
  const expected = macOf(key, use, scope, expires);
  const given = Buffer.from(mac, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return { kind: 'wrong' };
  const expiresAt = new Date(Number.parseInt(expires, 36) * 1_000);
  return expiresAt <= now ? { kind: 'expired' } : { kind: 'valid', expiresAt };
}

function macOf(key: Secret, use: Use, { environmentId, epoch }: LinkScope, expires: string): Buffer {
  // The parts hold no spaces, so no two scopes sign the same text.
  return createHmac('sha256', key.reveal()).update(`${use} ${environmentId} ${epoch} ${expires}`).digest();
}

/** The address with the signature in its query. */
export function linkTo(url: string, token: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}${LINK_PARAMETER}=${token}`;
}
