import type { IncomingMessage } from 'node:http';

/** Where a request wants to go. */
export interface RequestTarget {
  /** Lower case, without port and without the dot at the end: the key of the routing table. */
  readonly host: string;
  /** As the visitor wrote it, port included; what the app sees. */
  readonly hostHeader: string;
  /** Path without query: what prefixes are compared with. */
  readonly path: string;
  /** Path and query, as they go to the app. */
  readonly url: string;
}

const hostPattern = /^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])$/;

/** Null when the request does not say, in one way only, which host it is for. */
export function requestTarget(request: IncomingMessage): RequestTarget | null {
  const hosts = request.rawHeaders.filter(
    (_, index, all) => index % 2 === 1 && all[index - 1]?.toLowerCase() === 'host',
  );
  const [hostHeader] = hosts;
  if (hosts.length !== 1 || hostHeader === undefined) return null;
  const host = parseHost(hostHeader);
  if (host === null) return null;

  const raw = request.url ?? '/';
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(raw);
  if (absolute !== null && parseHost(absolute[1] ?? '') !== host) return null;
  const url = originForm(absolute === null ? raw : (absolute[2] ?? ''));
  const query = url.indexOf('?');
  return { host, hostHeader, url, path: query === -1 ? url : url.slice(0, query) };
}

function parseHost(header: string): string | null {
  const match = /^(.*?)(?::(\d{1,5}))?$/.exec(header.trim().toLowerCase());
  const name = match?.[1]?.replace(/\.$/, '') ?? '';
  if (match?.[2] !== undefined && Number(match[2]) > 65_535) return null;
  return name.length <= 253 && hostPattern.test(name) ? name : null;
}

function originForm(url: string): string {
  if (url.startsWith('/')) return url;
  // `OPTIONS *` and `http://host?query` have no path of their own.
  return url.startsWith('?') ? `/${url}` : '/';
}
