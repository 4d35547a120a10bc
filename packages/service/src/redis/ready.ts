import { BoughError } from '@bough/domain/bough-error';
import type { Address, Credentials } from '../service.ts';
import { waitUntilReady } from '../wait-until-ready.ts';
import { redisClient } from './connect.ts';

/** Valkey reports the Redis version that it is compatible with, too; its own is the one that counts. */
export async function redisReady(
  address: Address,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<{ version: string }> {
  return waitUntilReady(() => ask(address, credentials), isRefusal, signal);
}

async function ask(address: Address, credentials: Credentials): Promise<{ version: string }> {
  const client = redisClient(address);
  try {
    await client.connect();
    await client.auth(credentials.password.reveal());
    await client.ping();
    const info = await client.info('server');
    return {
      version: /valkey_version:(\S+)/.exec(info)?.[1] ?? /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown',
    };
  } catch (error) {
    throw isAuthenticationError(error) ? refused(address, error) : error;
  } finally {
    client.disconnect();
  }
}

function isAuthenticationError(error: unknown): boolean {
  return error instanceof Error && /^(?:WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH)/.test(error.message);
}

function isRefusal(error: unknown): boolean {
  return error instanceof BoughError && error.code === 'service-refused';
}

function refused(address: Address, cause: unknown): BoughError {
  return new BoughError({
    code: 'service-refused',
    message: `Redis at ${address.host}:${address.port} does not accept its password.`,
    hint: 'Another server answers at this port, or the credentials are not the ones it was started with; redeploy.',
    cause,
  });
}
