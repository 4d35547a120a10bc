import { RequestError } from '@octokit/request-error';
import { ForgeError } from '../forge-error.ts';

export interface FailedCall {
  readonly route: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly apiUrl: string;
  readonly now: () => Date;
}

/** When a limit does not say how long to wait, GitHub asks for a minute. */
const LIMIT_WAIT_MS = 60_000;

/** The status that the forge answered with, when an error comes from an answer. */
export function statusOf(error: unknown): number | undefined {
  const source = error instanceof ForgeError ? error.cause : error;
  return source instanceof RequestError && source.response ? source.status : undefined;
}

/** What went wrong with a call, as advice. */
export function toForgeError(error: unknown, call: FailedCall): ForgeError {
  if (error instanceof ForgeError) return error;
  const host = new URL(call.apiUrl).host;
  if (!(error instanceof RequestError) || !error.response) return unreachable(error, host);
  const { status } = error;
  const what = `${describe(call)}: ${messageOf(error)}`;
  if (status === 401) return unauthorized(error, host, what);
  if (isLimit(error)) return rateLimited(error, host, call.now());
  if (status === 403) {
    return new ForgeError({
      code: 'forge-forbidden',
      message: `${host} does not allow ${what}.`,
      hint: 'Give the GitHub App or the token the permission that the README of the GitHub driver lists for this call; a locked conversation or an archived repository refuses too.',
      cause: error,
    });
  }
  if (status >= 500) {
    return new ForgeError({
      code: 'forge-unreachable',
      message: `${host} answered ${status} to ${what}.`,
      hint: 'Bough tries again by itself; see the status page of the forge if it lasts.',
      retryable: true,
      cause: error,
    });
  }
  if (status === 404 || status === 410) {
    return new ForgeError({
      code: 'forge-rejected',
      message: `${host} does not know ${what}.`,
      hint: 'It is gone, or the credentials may not see it: GitHub answers 404 to both. Check that the App is installed on the repository, or that the token covers it.',
      cause: error,
    });
  }
  return new ForgeError({
    code: 'forge-rejected',
    message: `${host} refused ${what}.`,
    hint:
      status === 409 ? 'Something else changed it at the same time; Bough tries again by itself.' : undefined,
    retryable: status === 409,
    cause: error,
  });
}

function unreachable(error: unknown, host: string): ForgeError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const reason = inner instanceof Error ? inner.message : String(inner);
  return new ForgeError({
    code: 'forge-unreachable',
    message: `${host} cannot be reached: ${reason.slice(0, 200)}.`,
    hint: 'Check the network, proxy and GITHUB_API_URL; Bough tries again by itself.',
    retryable: true,
    cause: error,
  });
}

function unauthorized(error: RequestError, host: string, what: string): ForgeError {
  return new ForgeError({
    code: 'forge-unauthorized',
    message: `${host} does not accept our credentials (${what}).`,
    hint: 'The token is wrong, expired or revoked, or the App id and private key do not belong together: renew GITHUB_TOKEN, or GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, and check this machine’s clock.',
    cause: error,
  });
}

function isLimit(error: RequestError): boolean {
  if (error.status === 429) return true;
  if (error.status !== 403) return false;
  const headers = error.response?.headers ?? {};
  return (
    headers['x-ratelimit-remaining'] === '0' ||
    headers['retry-after'] !== undefined ||
    /\b(?:secondary rate|rate limit exceeded|abuse detection)\b/i.test(error.message)
  );
}

function rateLimited(error: RequestError, host: string, now: Date): ForgeError {
  const headers = error.response?.headers ?? {};
  const after = Number(headers['retry-after']);
  const reset = Number(headers['x-ratelimit-reset']) * 1000 - now.getTime() + 1000;
  const exhausted = headers['x-ratelimit-remaining'] === '0';
  const retryAfterMs = after > 0 ? after * 1000 : exhausted && reset > 0 ? reset : LIMIT_WAIT_MS;
  return new ForgeError({
    code: 'forge-rate-limited',
    message: `${host} limits our calls; the next may be made in ${Math.ceil(retryAfterMs / 1000)} s.`,
    hint: 'Bough waits and tries again by itself. A GitHub App has higher limits than a token.',
    retryable: true,
    retryAfterMs,
    cause: error,
  });
}

/** `POST /repos/acme/shop/issues/7/comments`: placeholders of the path filled in, nothing of the body. */
function describe({ route, parameters }: FailedCall): string {
  return route.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
    const value = parameters[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 100) : placeholder;
  });
}

function messageOf(error: RequestError): string {
  return error.message.replace(/ - https:\/\/docs\.github\.com\S*$/, '').slice(0, 300);
}
