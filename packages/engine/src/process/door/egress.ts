import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { type FileHandle, open } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { connect, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isPublicAddress } from './public-address.ts';

/** What a build may have open at once, and send and receive in all: enough for the largest of dependency trees. */
const connectionsMax = 128;
const bytesMax = 8 * 1024 ** 3;
const idleMs = 60_000;
const connectMs = 15_000;
const ports: ReadonlySet<number> = new Set([80, 443]);

export interface EgressOptions {
  /** Where the socket is made; the path may be longer than a socket's name can be. */
  readonly directory: string;
  readonly resolve?: (host: string) => Promise<readonly LookupAddress[]>;
  readonly isAllowed?: (address: string) => boolean;
  readonly isAllowedPort?: (port: number) => boolean;
}

export interface Egress {
  close(): Promise<void>;
}

/**
 * The only way out of an untrusted build: an HTTP proxy on a Unix socket that connects to public addresses and to nothing
 * else. It looks the name up itself and connects to the very address that it has checked, so that a name that answers
 * differently the second time leads nowhere. Where any of a name's addresses is not public, none is used.
 */
export async function openEgress(options: EgressOptions): Promise<Egress> {
  const way = wayOut(options);
  const sockets = new Set<Socket>();
  const budget = { bytes: bytesMax };
  const server = createServer({ requestTimeout: 0, headersTimeout: 15_000, maxHeaderSize: 16 * 1024 });
  server.maxConnections = connectionsMax;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('connect', (incoming: IncomingMessage, client: Duplex, head: Buffer) => {
    void tunnel(way, { incoming, client, head, budget });
  });
  server.on('request', (incoming, outgoing) => void forward(way, { incoming, outgoing, budget }));
  const directory = await open(options.directory, 'r');
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(`/proc/self/fd/${directory.fd}/egress.sock`, resolve);
    });
  } catch (error) {
    await directory.close();
    throw error;
  }
  return { close: () => closeAll(server, sockets, directory) };
}

function closeAll(
  server: ReturnType<typeof createServer>,
  sockets: ReadonlySet<Socket>,
  directory: FileHandle,
): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => void directory.close().finally(resolve));
    for (const socket of sockets) socket.destroy();
  });
}

type Way = (host: string, port: number) => Promise<LookupAddress>;

/** The address to connect to. Throws, in words for the build's log, where there is none. */
function wayOut(options: EgressOptions): Way {
  const resolve = options.resolve ?? ((host) => lookup(host, { all: true }));
  const isAllowed = options.isAllowed ?? ((address) => isPublicAddress(address));
  const isAllowedPort = options.isAllowedPort ?? ((port) => ports.has(port));
  return async (host, port) => {
    if (!isAllowedPort(port))
      throw new Refusal(`port ${port} is not open to builds of forks; 80 and 443 are`);
    const bare = host.replace(/^\[(.*)\]$/, '$1');
    const addresses = isIP(bare) ? [{ address: bare, family: isIP(bare) }] : await resolve(bare);
    const [first] = addresses;
    if (first === undefined) throw new Refusal(`${bare} has no address`);
    if (addresses.every(({ address }) => isAllowed(address))) return first;
    throw new Refusal(`${bare} is not on the public internet, and builds of forks reach nothing else`);
  };
}

class Refusal extends Error {}

interface Budget {
  bytes: number;
}

async function tunnel(
  way: Way,
  of: { incoming: IncomingMessage; client: Duplex; head: Buffer; budget: Budget },
): Promise<void> {
  const { client, budget } = of;
  client.on('error', () => client.destroy());
  try {
    const { hostname, port } = new URL(`http://${of.incoming.url ?? ''}`);
    const { address } = await way(hostname, Number(port || 80));
    const server = connect({ host: address, port: Number(port || 80) });
    const giveUp = setTimeout(() => server.destroy(new Error('no answer')), connectMs);
    server.on('error', () => client.destroy());
    server.once('close', () => client.destroy());
    client.once('close', () => server.destroy());
    server.setTimeout(idleMs, () => server.destroy());
    server.once('connect', () => {
      clearTimeout(giveUp);
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      server.write(of.head);
      for (const side of [server, client])
        side.on('data', (chunk: Buffer) => spend(budget, chunk.length, server));
      client.pipe(server).pipe(client);
    });
    server.once('close', () => clearTimeout(giveUp));
  } catch (error) {
    client.end(
      `HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n${wordsOf(error)}\n`,
    );
  }
}

async function forward(
  way: Way,
  of: { incoming: IncomingMessage; outgoing: ServerResponse; budget: Budget },
): Promise<void> {
  const { incoming, outgoing, budget } = of;
  incoming.on('error', () => outgoing.destroy());
  try {
    const url = new URL(incoming.url ?? '');
    if (url.protocol !== 'http:') throw new Refusal(`${url.protocol} is not forwarded`);
    const { address } = await way(url.hostname, Number(url.port || 80));
    const {
      'proxy-connection': _proxy,
      'proxy-authorization': _authorization,
      ...headers
    } = incoming.headers;
    const onward = request({
      ...{
        host: address,
        port: Number(url.port || 80),
        method: incoming.method,
        agent: false,
        timeout: idleMs,
      },
      ...{
        path: `${url.pathname}${url.search}`,
        headers: { ...headers, host: url.host, connection: 'close' },
      },
    });
    onward.once('timeout', () => onward.destroy(new Error('no answer')));
    onward.once('error', () => outgoing.destroy());
    outgoing.once('close', () => onward.destroy());
    onward.once('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('data', (chunk: Buffer) => spend(budget, chunk.length, onward));
      answer.on('error', () => outgoing.destroy());
      answer.pipe(outgoing);
    });
    incoming.on('data', (chunk: Buffer) => spend(budget, chunk.length, onward));
    incoming.pipe(onward);
  } catch (error) {
    incoming.resume();
    outgoing.writeHead(403, { 'content-type': 'text/plain', connection: 'close' });
    outgoing.end(`${wordsOf(error)}\n`);
  }
}

function spend(budget: Budget, bytes: number, connection: { destroy(error?: Error): unknown }): void {
  budget.bytes -= bytes;
  if (budget.bytes < 0) connection.destroy(new Error('more than a build may transfer'));
}

function wordsOf(error: unknown): string {
  return error instanceof Refusal ? error.message : 'the address could not be looked up';
}
