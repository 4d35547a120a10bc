import { expect, it } from 'vitest';
import { cloneUrlOf, hostOf } from './addresses.ts';

it.each([
  ['https://api.github.com', 'github.com', 'https://github.com/acme/shop.git'],
  ['https://git.example.com/api/v3', 'git.example.com', 'https://git.example.com/acme/shop.git'],
  ['http://127.0.0.1:1234/api/v3', '127.0.0.1:1234', 'http://127.0.0.1:1234/acme/shop.git'],
])('knows host and git address of %s', (apiUrl, host, cloneUrl) => {
  expect(hostOf(apiUrl)).toBe(host);
  expect(cloneUrlOf(apiUrl, { owner: 'acme', name: 'shop' })).toBe(cloneUrl);
});
