import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectSource } from './connect-source.ts';
import { parseSourceUrl } from './parse-source-url.ts';

/** The code of a message that asks whether the server encrypts. */
const sslRequest = 80877103;

/** Says that it cannot encrypt, hangs up on who goes on without, and knows who came. */
const asked: ('encrypted' | 'plain')[] = [];
const server = createServer((socket) => {
  socket
    .on('error', () => {})
    .once('data', (bytes) => {
      const isAsked = bytes.readUInt32BE(4) === sslRequest;
      asked.push(isAsked ? 'encrypted' : 'plain');
      socket.end(isAsked ? 'N' : '');
    });
});

beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterAll(() => void server.close());

test.each([
  ['', ['encrypted', 'plain']],
  ['?sslmode=prefer', ['encrypted', 'plain']],
  ['?sslmode=require', ['encrypted']],
  ['?sslmode=verify-full', ['encrypted']],
  ['?sslmode=disable', ['plain']],
  ['?sslmode=allow', ['plain']],
])('"%s" asks for %j', async (parameters, ways) => {
  asked.length = 0;
  const { port } = server.address() as AddressInfo;
  const login = parseSourceUrl(`postgresql://u:p@127.0.0.1:${port}/d${parameters}`, 'database');
  await expect(connectSource(login, { signal: AbortSignal.timeout(20_000) })).rejects.toThrow();
  expect(asked).toEqual(ways);
});
