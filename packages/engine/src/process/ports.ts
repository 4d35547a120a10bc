import { randomInt } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { ownedName } from './owner.ts';

/** Below Linux's range for outgoing connections (32768 on), so that no client socket can take one. */
const firstPort = 20_000;
const lastPort = 32_000;
const attempts = 200;

/**
 * Ports of workloads. A port is one workload's from its first start until it is removed; the reservation is a file
 * named after the port, made by `link`, which exactly one of any number of processes can do.
 */
export interface Ports {
  /**
   * The workload's port, kept from an earlier call when there was one and it is not `avoid`. At a new one nobody
   * listens, except maybe at the `wanted` one.
   */
  reserve(id: string, options?: Reserve): Promise<number>;
  release(id: string): Promise<void>;
}

export interface Reserve {
  readonly avoid?: number;
  readonly wanted?: number;
}

export function createPorts(directory: string): Ports {
  async function reserve(id: string, options: Reserve = {}): Promise<number> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const { wanted: former } = options;
    // The one that it had last is still its own: no need to read everybody's.
    if (former !== undefined && former !== options.avoid && (await ownerOf(directory, former)) === id)
      return former;
    const kept = (await portsOf(directory, id)).find((port) => port !== options.avoid);
    if (kept !== undefined) return kept;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const wanted = attempt === 0 ? options.wanted : undefined;
      const port = wanted ?? randomInt(firstPort, lastPort);
      if (port === options.avoid || !(await claim(directory, port, id))) continue;
      // Only at a port of one's own is it tried: another workload may be about to listen at its.
      if (wanted !== undefined || !(await isListening(port))) return port;
      await rm(join(directory, String(port)), { force: true });
    }
    throw new BoughError({
      code: 'ports-exhausted',
      message: `No free port was found between ${firstPort} and ${lastPort}.`,
      hint: 'Remove previews that are not needed, or look at what listens with `ss -ltn`.',
      retryable: true,
    });
  }

  return {
    reserve,
    async release(id) {
      for (const port of await portsOf(directory, id))
        await rm(join(directory, String(port)), { force: true });
    },
  };
}

async function portsOf(directory: string, id: string): Promise<number[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const owned = await Promise.all(
    names.map(async (name) => ((await ownerOf(directory, Number(name))) === id ? Number(name) : undefined)),
  );
  return owned.filter((port) => port !== undefined);
}

function ownerOf(directory: string, port: number): Promise<string | undefined> {
  return readFile(join(directory, String(port)), 'utf8').catch(() => undefined);
}

/** Written aside and linked, so that a reservation is never seen without its owner. */
async function claim(directory: string, port: number, id: string): Promise<boolean> {
  const aside = join(directory, `.${port}.${await ownedName()}`);
  await writeFile(aside, id, { mode: 0o600 });
  try {
    await link(aside, join(directory, String(port)));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

/**
 * Whether somebody listens there, whatever the address. Found out by listening: the kernel's table of connections has
 * no index, and reading it takes ten times as long on a machine with much memory. What it refuses for another reason (a
 * connection that is about to end) the table decides.
 */
export async function isListening(port: number): Promise<boolean> {
  const refusal = (await whyNotListen(port, '::')) ?? 'free';
  if (refusal === 'free') return false;
  // There is no IPv6 here.
  if (refusal !== 'EADDRINUSE' && (await whyNotListen(port, '0.0.0.0')) === undefined) return false;
  return (await listeningPorts()).has(port);
}

/** Undefined: it could be done, and is over. */
function whyNotListen(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** `sl: local address:port remote address:port state`; 0A is TCP_LISTEN. Most lines of a busy machine are others. */
const LISTENING = /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A /gm;

/** Every TCP port of this network namespace on which somebody listens, whatever the address. */
export async function listeningPorts(): Promise<Set<number>> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  const ports = new Set<number>();
  for (const [, port = ''] of tables.join('\n').matchAll(LISTENING)) ports.add(Number.parseInt(port, 16));
  return ports;
}
