import { describe, expect, test } from 'vitest';
import { comesToSee, wantsPage } from './visitor.ts';

const CHROME =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36';
const visitor = (userAgent: string | undefined, headers: Record<string, string> = {}, method = 'GET') => ({
  method,
  headers: userAgent === undefined ? headers : { ...headers, 'user-agent': userAgent },
});

describe('who wakes', () => {
  test.each([
    ['Chrome', CHROME],
    ['Firefox', 'Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0'],
    [
      'Safari on a phone',
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1',
    ],
    ['Playwright', CHROME.replace('Chrome/', 'HeadlessChrome/')],
    ['curl', 'curl/8.5.0'],
    ['fetch of Node', 'node'],
    ['axios', 'axios/1.7.7'],
    ['requests', 'python-requests/2.32.3'],
    ['k6', 'k6/0.54.0 (https://k6.io/)'],
    ['no name at all', undefined],
  ])('%s', (_, userAgent) => {
    expect(comesToSee(visitor(userAgent))).toBe(true);
  });
});

describe('who does not', () => {
  test.each([
    ['Google', 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'],
    ['Slack', 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)'],
    ['WhatsApp', 'WhatsApp/2.23.20.0'],
    ['Twitter', 'Twitterbot/1.0'],
    ['Facebook', 'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)'],
    ['Discord', 'Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)'],
    [
      'Teams',
      'Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com',
    ],
    ['GitHub', 'github-camo (876de43e)'],
    ['UptimeRobot', 'Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)'],
    ['Pingdom', 'Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)'],
    ['Kubernetes', 'kube-probe/1.31'],
    ['a load balancer', 'GoogleHC/1.0'],
    ['Amazon', 'ELB-HealthChecker/2.0'],
    ['Prometheus', 'Blackbox Exporter/0.25.0'],
    ['Bough itself', 'bough-verify'],
  ])('%s', (_, userAgent) => {
    expect(comesToSee(visitor(userAgent))).toBe(false);
  });

  test.each([
    ['a browser that fetches in advance', { 'sec-purpose': 'prefetch;prerender' }],
    ['an older one', { purpose: 'prefetch' }],
    ['Firefox', { 'x-moz': 'prefetch' }],
    ['Safari’s top sites', { 'x-purpose': 'preview' }],
  ])('%s', (_, headers) => {
    expect(comesToSee(visitor(CHROME, headers))).toBe(false);
  });

  test('who only asks whether it is there', () => {
    expect(comesToSee(visitor('curl/8.5.0', {}, 'HEAD'))).toBe(false);
  });
});

test('a page is for who reads pages', () => {
  expect(wantsPage(visitor(CHROME, { accept: 'text/html,application/xhtml+xml' }))).toBe(true);
  expect(wantsPage(visitor(CHROME, { accept: 'application/json' }))).toBe(false);
  expect(wantsPage(visitor('curl/8.5.0', { accept: '*/*' }))).toBe(false);
});
