import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import type { Route } from '@bough/domain/route';
import type { Secret } from '@bough/domain/secret';
import { decideLink, type LinkDecision } from './link-access.ts';

export type AccessDecision =
  | { readonly kind: 'access-required' | 'too-many-attempts' }
  /** Signed links, also where nobody can check them. */
  | LinkDecision;

/** What access depends on, apart from the route. */
export interface Visitor {
  readonly request: IncomingMessage;
  readonly url: string;
  readonly address: string;
  readonly scheme: 'http' | 'https';
}

export interface AccessGuard {
  decide(visitor: Visitor, route: Route): AccessDecision;
}

const GRANTED: AccessDecision = { kind: 'granted' };
const windowMs = 60_000;
/** Addresses remembered at once. Over it the oldest are forgotten: memory is worth more than their count. */
const maxAddresses = 10_000;

export function createAccessGuard(options: {
  probeToken: Secret | null;
  linkKey: Secret | null;
  failuresPerMinute: number;
  now?: () => number;
}): AccessGuard {
  const now = options.now ?? Date.now;
  const failures = new Map<string, { since: number; count: number }>();

  function recent(address: string): { since: number; count: number } | undefined {
    const entry = failures.get(address);
    return entry !== undefined && now() - entry.since < windowMs ? entry : undefined;
  }

  function recordFailure(address: string): void {
    const entry = recent(address);
    if (entry !== undefined) {
      entry.count += 1;
      return;
    }
    failures.delete(address);
    const oldest = failures.keys().next();
    if (failures.size >= maxAddresses && oldest.done !== true) failures.delete(oldest.value);
    failures.set(address, { since: now(), count: 1 });
  }

  return {
    decide({ request, url, address: clientAddress, scheme }, route) {
      const { access, environmentId } = route;
      if (access.kind === 'open' || isProbe(request, options.probeToken)) return GRANTED;
      if (access.kind === 'link') {
        if (options.linkKey === null) return { kind: 'link-required' };
        const scope = { environmentId, epoch: access.epoch };
        const cookies = request.headers.cookie;
        return decideLink({ key: options.linkKey, scope, url, cookies, scheme, now: new Date(now()) });
      }
      const credentials = readBasic(request.headers.authorization);
      // A browser's first visit brings no password: that is a question, not an attempt.
      if (credentials === null) return { kind: 'access-required' };
      const address = attemptKey(clientAddress);
      if ((recent(address)?.count ?? 0) >= options.failuresPerMinute) return { kind: 'too-many-attempts' };
      const nameFits = timingSafeEqual(sha256(credentials.username), sha256(access.username));
      const passwordFits = equalsHash(sha256(credentials.password), access.passwordHash);
      if (nameFits && passwordFits) return GRANTED;
      recordFailure(address);
      return { kind: 'access-required' };
    },
  };
}

/** The worker's own look at an environment that is closed to the public. */
function isProbe(request: IncomingMessage, probeToken: Secret | null): boolean {
  const given = request.headers['x-bough-probe'];
  return (
    probeToken !== null &&
    typeof given === 'string' &&
    timingSafeEqual(sha256(given), sha256(probeToken.reveal()))
  );
}

function readBasic(header: string | undefined): { username: string; password: string } | null {
  const encoded = /^basic +([a-z0-9+/=_-]+) *$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function equalsHash(actual: Buffer, expectedHex: string): boolean {
  const expected = Buffer.from(expectedHex, 'hex');
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Somebody with IPv6 has a whole /64 to guess from. */
function attemptKey(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const after = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length);
  return [...groups, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).join(':');
}
