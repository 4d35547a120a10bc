import { setTimeout as delay } from 'node:timers/promises';
import { withEnvironmentLock } from '../src/environment-lock.ts';

/** Holds an environment's lock in a process of its own, so that a test can kill it. Prints `held <lease>`. */
const [, , url, environmentId] = process.argv;
if (!url || !environmentId) throw new Error('usage: url environmentId');

await withEnvironmentLock(
  { url, environmentId, signal: new AbortController().signal },
  async ({ fence, signal }) => {
    process.stdout.write(`held ${fence.lease}\n`);
    await delay(60_000, undefined, { signal });
  },
);
