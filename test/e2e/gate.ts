import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { waitFor } from '@bough/testkit/wait-for';

/**
 * Where hooks and apps of the fixture knock and wait (`node gate.mjs <name>`) until the test opens: a slow build that is
 * exactly as slow as the test needs. It also sees when whoever waits is gone: a killed process closes its connection.
 */
export interface Gate {
  readonly url: string;
  /** Resolves when somebody waits there. */
  reached(name: string): Promise<void>;
  /** Lets everybody through, from now on. */
  open(name: string): void;
  /** Lets everybody through who waits anywhere: what one test leaves waiting must not be in the next one's way. */
  openAll(): void;
  /** How many wait there now. */
  waiting(name: string): number;
  /** Resolves when somebody who waited there has gone away, with the time (performance.now()) of the first. */
  left(name: string): Promise<number>;
  close(): Promise<void>;
}

export async function createGate(timeoutMs: number): Promise<Gate> {
  const open = new Set<string>();
  const waiting = new Map<string, Set<ServerResponse>>();
  const leftAt = new Map<string, number>();
  const at = (name: string) => {
    const known = waiting.get(name) ?? new Set();
    waiting.set(name, known);
    return known;
  };
  const server = createServer((request, response) => {
    const name = (request.url ?? '/').slice(1);
    if (open.has(name)) return void response.end('open\n');
    at(name).add(response);
    response.on('close', () => {
      at(name).delete(response);
      if (!leftAt.has(name)) leftAt.set(name, performance.now());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const openGate = (name: string) => {
    open.add(name);
    for (const response of at(name)) response.end('open\n');
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    waiting: (name) => at(name).size,
    reached: async (name) => {
      await waitFor(`somebody to wait at the gate "${name}"`, () => at(name).size > 0, { timeoutMs });
    },
    open: openGate,
    openAll: () => [...waiting.keys()].forEach(openGate),
    left: (name) => waitFor(`somebody to leave the gate "${name}"`, () => leftAt.get(name), { timeoutMs }),
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
