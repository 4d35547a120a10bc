import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createPorts, isListening, listeningPorts } from './ports.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bough-ports-'));
});
afterEach(() => rm(directory, { recursive: true }));

it('gives everybody a port of his own, however many ask at once, and the same one again', async () => {
  const hosts = [createPorts(directory), createPorts(directory)];
  const ids = Array.from({ length: 40 }, (_, index) => `w${index}`);
  const ports = await Promise.all(
    ids.map((id, index) => (hosts[index % 2] ?? createPorts(directory)).reserve(id)),
  );
  expect(new Set(ports).size).toBe(ids.length);
  expect(await createPorts(directory).reserve('w7')).toBe(ports[7]);
});

it('gives another port when one is to be avoided, and the wanted one when it is free', async () => {
  const ports = createPorts(directory);
  const first = await ports.reserve('a');
  expect(await ports.reserve('b', { wanted: first })).not.toBe(first);
  await ports.release('a');
  expect(await ports.reserve('a', { avoid: first })).not.toBe(first);
  expect(await ports.reserve('c', { wanted: first })).toBe(first);
});

it('leaves nothing after release, also of what was never reserved', async () => {
  const ports = createPorts(directory);
  await ports.reserve('a');
  await ports.release('a');
  await ports.release('b');
  expect(await readdir(directory)).toEqual([]);
});

it('sees who listens, on either family', async () => {
  for (const host of ['127.0.0.1', '::1', '0.0.0.0']) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect((await listeningPorts()).has(port)).toBe(true);
    expect(await isListening(port)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
    expect((await listeningPorts()).has(port)).toBe(false);
    expect(await isListening(port)).toBe(false);
  }
});
