import { randomInt } from 'node:crypto';
import { isPortFree } from '@bough/boot/free-port';

// Below those that the engine gives to workloads (20,000 on) and the kernel to connections that go out (32,768 on).
const firstPort = 10_000;
const lastPort = 20_000;
const attempts = 100;

/** A port for a server of a test. It stays free while nobody listens on it, as between that server's end and its next start. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const port = randomInt(firstPort, lastPort);
    if (await isPortFree(port, '0.0.0.0')) return port;
  }
  throw new Error(`None of ${attempts} ports between ${firstPort} and ${lastPort} was free.`);
}
