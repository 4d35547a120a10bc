import type { IncomingMessage } from 'node:http';
import {
  LINK_PARAMETER,
  type LinkScope,
  readAccess,
  type SignedAccess,
  signAccess,
} from '@bough/domain/access-link';
import type { Secret } from '@bough/domain/secret';

/** `__Host-`: the browser takes it from this very host alone, so that no other preview beside it can plant one. It wants HTTPS. */
const COOKIES = { https: '__Host-bough-access', http: 'bough-access' } as const;
/** A browser sends one of each name; more are tried by somebody, or left by another path. */
const TRIED_MAX = 4;

export interface LinkVisit {
  readonly key: Secret;
  readonly scope: LinkScope;
  /** Path and query as they were asked for. */
  readonly url: string;
  readonly cookies: string | undefined;
  /** As the visitor sees it. */
  readonly scheme: 'http' | 'https';
  readonly now: Date;
}

/** The signature is taken out of the address, where it would be copied, logged and sent on, and into a cookie. */
export interface LinkEntry {
  readonly location: string;
  readonly cookie: string | null;
}

export type LinkDecision =
  | { readonly kind: 'granted' }
  | ({ readonly kind: 'enter' } & LinkEntry)
  | { readonly kind: 'link-required' | 'link-expired' };

/** Whether a signed link, or the cookie that an earlier one left, opens the environment. Pure. */
export function decideLink(visit: LinkVisit): LinkDecision {
  const { location, tokens } = takeLinks(visit.url);
  const links = tokens.map((token) => readAccess(visit.key, 'link', visit.scope, token, visit.now));
  const link = best(links);
  if (link?.kind === 'valid') return { kind: 'enter', location, cookie: cookieFor(visit, link.expiresAt) };
  const cookie = best(
    cookieTokens(visit.cookies).map((token) => readAccess(visit.key, 'visit', visit.scope, token, visit.now)),
  );
  // An old link must not lock out somebody who is in.
  if (cookie?.kind === 'valid')
    return link === undefined ? { kind: 'granted' } : { kind: 'enter', location, cookie: null };
  return { kind: (link ?? cookie)?.kind === 'expired' ? 'link-expired' : 'link-required' };
}

/** What the app gets to see of the visitor's cookies: those of its own. */
export function withoutAccessCookies(cookies: string): string | undefined {
  const kept = cookies.split(';').filter((part) => !isOurs(part));
  return kept.length === 0 ? undefined : kept.join(';').trim();
}

/** Answers with the clean address. Scripts that post to a link keep their method. */
export function enterHeaders(request: IncomingMessage, entry: LinkEntry) {
  const status = request.method === 'GET' || request.method === 'HEAD' ? 302 : 307;
  const headers = {
    location: entry.location,
    'content-length': 0,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-robots-tag': 'noindex, nofollow',
    ...(entry.cookie === null ? {} : { 'set-cookie': entry.cookie }),
  };
  return { status, headers };
}

function cookieFor({ key, scope, scheme, now }: LinkVisit, expiresAt: Date): string {
  const seconds = Math.max(1, Math.floor((expiresAt.getTime() - now.getTime()) / 1_000));
  const value = signAccess(key, 'visit', scope, expiresAt);
  const secure = scheme === 'https' ? '; Secure' : '';
  return `${COOKIES[scheme]}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure}`;
}

function best(found: readonly SignedAccess[]): SignedAccess | undefined {
  return (
    found.find(({ kind }) => kind === 'valid') ?? found.find(({ kind }) => kind === 'expired') ?? found[0]
  );
}

/** Every other part of the query stays as it was written, letter by letter. */
function takeLinks(url: string): { location: string; tokens: readonly string[] } {
  const mark = url.indexOf('?');
  if (mark === -1) return { location: url, tokens: [] };
  const parts = url.slice(mark + 1).split('&');
  const prefix = `${LINK_PARAMETER}=`;
  const tokens = parts.filter((part) => part.startsWith(prefix)).map((part) => part.slice(prefix.length));
  const kept = parts.filter((part) => !part.startsWith(prefix)).join('&');
  // `//other.example/` would lead off the site.
  const path = url.slice(0, mark).replace(/^[/\\]+/, '/');
  return { location: kept === '' ? path : `${path}?${kept}`, tokens: tokens.slice(0, TRIED_MAX) };
}

function cookieTokens(cookies: string | undefined): readonly string[] {
  const ours = (cookies ?? '').split(';').filter(isOurs).slice(0, TRIED_MAX);
  return ours.map((part) => part.slice(part.indexOf('=') + 1).trim());
}

function isOurs(part: string): boolean {
  const name = part.slice(0, Math.max(0, part.indexOf('='))).trim();
  return name === COOKIES.https || name === COOKIES.http;
}
