import type { IncomingMessage } from 'node:http';
import { isbot } from 'isbot';

/**
 * Whether somebody comes to see the environment: a person, or a program that a person runs against it (curl, an
 * end-to-end test). Crawlers, link previews, uptime monitors and what browsers fetch in advance would wake previews that
 * nobody looks at, and keep them awake for ever.
 */
export function comesToSee({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  if (method === 'HEAD' || isAdvance(headers)) return false;
  const agent = headers['user-agent'] ?? '';
  return agent === '' || TOOL.test(agent) || isTestBrowser(agent) || !isbot(agent);
}

/** Whether a page that asks again by itself is of use to who asks. */
export function wantsPage({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers.accept?.toLowerCase().includes('text/html') === true;
}

function isAdvance(headers: IncomingMessage['headers']): boolean {
  return ADVANCE_HEADERS.some((name) => /prefetch|preview|prerender/i.test(String(headers[name] ?? '')));
}

/** Chromium, Firefox and Safari, each in its time. */
const ADVANCE_HEADERS = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'];

/** isbot calls these bots, rightly for whoever counts visits; here somebody types them, or a test suite does. */
const TOOL =
  /^(?:curl|wget|httpie|node(?:-fetch)?|undici|axios|got|python-(?:requests|urllib3?)|python-httpx|aiohttp|go-http-client|go-resty|okhttp|java|apache-httpclient|ruby|faraday|guzzlehttp|postmanruntime|insomnia|bruno|k6|artillery|vegeta|hey|wrk|apachebench|playwright|cypress|supertest|deno|bun|libwww-perl|powershell)(?:[/ (]|$)/i;

/** Playwright, Puppeteer and Cypress; not the crawlers that are built on them and say so. */
function isTestBrowser(agent: string): boolean {
  return /\bHeadlessChrome\//.test(agent) && !/bot|spider|crawl|lighthouse/i.test(agent);
}
