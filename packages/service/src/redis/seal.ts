import { setTimeout as sleep } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import type { Redis } from 'ioredis';
import type { Address, Credentials, ServiceDeclaration } from '../service.ts';
import { redisClient } from './connect.ts';
import { isPersistent } from './program.ts';

/** Tens of megabytes at the most. */
const sealTimeoutMs = 120_000;
const lookEveryMs = 50;

/**
 * Each kind in the file that its program reads: `redis` a snapshot, `redis-persistent` the append-only file, whose first part
 * is a snapshot. A server that appends would not look at a snapshot beside it.
 */
export async function sealRedis(
  declaration: ServiceDeclaration,
  address: Address,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<void> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(sealTimeoutMs)]);
  until.throwIfAborted();
  const client = redisClient(address, sealTimeoutMs);
  const end = () => client.disconnect();
  until.addEventListener('abort', end, { once: true });
  try {
    await client.connect();
    await client.auth(credentials.password.reveal());
    if (isPersistent(declaration.type)) await startAppending(client, declaration, until);
    else await client.save();
  } finally {
    until.removeEventListener('abort', end);
    client.disconnect();
  }
}

async function startAppending(
  client: Redis,
  declaration: ServiceDeclaration,
  signal: AbortSignal,
): Promise<void> {
  await client.config('SET', 'appendonly', 'yes');
  for (;;) {
    const info = await client.info('persistence');
    const says = (field: string, value: string) => info.includes(`${field}:${value}`);
    const isBusy = says('aof_rewrite_in_progress', '1') || says('aof_rewrite_scheduled', '1');
    if (!isBusy && says('aof_enabled', '1') && says('aof_last_bgrewrite_status', 'ok')) return;
    if (!isBusy)
      throw new BoughError({
        code: 'capture-failed',
        message: `The keys of "${declaration.name}" could not be written to the copy's volume.`,
        hint: 'Look whether the disk with the volumes is full. Bough tries again.',
        retryable: true,
      });
    await sleep(lookEveryMs, undefined, { signal });
  }
}
