/** A connection string in its parts, decoded. */
export interface SourceUrl {
  readonly url: URL;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/** Undefined: it is none of one of these protocols (`/^mysql:$/`), or names no host or no database. */
export function readSourceUrl(text: string, protocol: RegExp): SourceUrl | undefined {
  try {
    const url = new URL(text.trim());
    const database = decodeURIComponent(url.pathname.slice(1));
    const user = decodeURIComponent(url.username);
    const password = decodeURIComponent(url.password);
    const isWhole = protocol.test(url.protocol) && url.hostname !== '' && database !== '';
    return isWhole ? { url, database, user, password } : undefined;
  } catch {
    return undefined;
  }
}

/** Without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}
