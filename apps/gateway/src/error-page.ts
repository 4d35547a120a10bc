import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Route } from '@bough/domain/route';
import { type Cause, type CausePage, causes } from './cause.ts';

type Format = 'html' | 'json' | 'plain';

const contentTypes: Record<Format, string> = {
  html: 'text/html; charset=utf-8',
  json: 'application/json; charset=utf-8',
  plain: 'text/plain; charset=utf-8',
};

/** Answers in the gateway's own name. `x-bough-cause` tells people and machines that this is not the app. */
export function sendErrorPage(
  request: IncomingMessage,
  response: ServerResponse,
  cause: Cause,
  route: Route | null,
): void {
  const page: CausePage = causes[cause];
  const format = chooseFormat(request);
  const body = Buffer.from(renderErrorPage(cause, route, format));
  response.writeHead(page.status, {
    'content-type': contentTypes[format],
    'content-length': body.length,
    'cache-control': 'no-store',
    'content-security-policy':
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    'x-content-type-options': 'nosniff',
    'x-robots-tag': 'noindex, nofollow',
    'x-bough-cause': cause,
    vary: 'accept, user-agent',
    ...(page.retryAfter === undefined ? {} : { 'retry-after': String(page.retryAfter) }),
    ...(cause === 'access-required' ? { 'www-authenticate': 'Basic realm="bough", charset="UTF-8"' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function chooseFormat(request: IncomingMessage): Format {
  const accept = request.headers.accept?.toLowerCase() ?? '';
  if (accept.includes('text/html')) return 'html';
  if (accept.includes('json')) return 'json';
  const terminal = /^(?:curl|wget|httpie)\//i.test(request.headers['user-agent'] ?? '');
  return terminal || accept.startsWith('text/plain') ? 'plain' : 'json';
}

function renderErrorPage(cause: Cause, route: Route | null, format: Format): string {
  const page: CausePage = causes[cause];
  const message = page.message(route);
  const statusUrl = page.linksStatus === true ? safeLink(route?.statusUrl) : null;
  if (format === 'json') {
    const hint = page.hint;
    return `${JSON.stringify({ error: { code: cause, message, hint, ...(statusUrl === null ? {} : { statusUrl }) } })}\n`;
  }
  if (format === 'plain') {
    return `${page.title}: ${message}\n${page.hint}\n${statusUrl === null ? '' : `Log: ${statusUrl}\n`}(${cause}, said by the Bough gateway)\n`;
  }
  return htmlPage({ cause, page, message, statusUrl });
}

function htmlPage(parts: {
  cause: Cause;
  page: CausePage;
  message: string;
  statusUrl: string | null;
}): string {
  const { cause, page, message, statusUrl } = parts;
  const refresh =
    page.refresh === true ? `<meta http-equiv="refresh" content="${page.retryAfter ?? 5}">\n` : '';
  const link = statusUrl === null ? '' : `<p><a href="${escapeHtml(statusUrl)}">Log and status</a></p>\n`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
${refresh}<title>${escapeHtml(page.title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<p class="status">${page.status}</p>
<h1>${escapeHtml(page.title)}</h1>
<p>${escapeHtml(message)}</p>
<p>${escapeHtml(page.hint)}</p>
${link}<footer>${escapeHtml(cause)} · said by the Bough gateway, not by the app</footer>
</main>
</body>
</html>
`;
}

const style = `
:root { color-scheme: light dark; --text: #1c2420; --quiet: #5c6a62; --page: #f6f8f6; --card: #fff; --link: #0b6b3a; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4ebe6; --quiet: #95a39a; --page: #121614; --card: #1b211e; --link: #6fd39b; }
}
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 34rem; margin: 1rem; padding: 2rem 2.25rem; border-radius: 12px; background: var(--card);
  box-shadow: 0 1px 4px rgb(0 0 0 / 0.12); overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; }
.status { margin: 0; color: var(--quiet); font-variant-numeric: tabular-nums; }
a { color: var(--link); }
footer { margin-top: 1.5rem; color: var(--quiet); font-size: 0.8rem; }
`;

function safeLink(url: string | undefined): string | null {
  return url !== undefined && /^https?:\/\//i.test(url) ? url : null;
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
