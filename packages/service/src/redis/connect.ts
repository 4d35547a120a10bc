import { Redis } from 'ioredis';
import type { Address } from '../service.ts';

const answerTimeoutMs = 5_000;

/** A client that neither connects nor authenticates by itself, and never tries again. */
export function redisClient(address: Address, commandTimeoutMs = answerTimeoutMs): Redis {
  const client = new Redis({
    host: address.host,
    port: address.port,
    // The older handshake lets a connection exist before it is authenticated, so that a refusal has an answer.
    protocol: 2,
    lazyConnect: true,
    connectTimeout: answerTimeoutMs,
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    enableReadyCheck: false,
  });
  // Errors are told by the commands that they fail; without a listener ioredis prints them.
  client.on('error', () => {});
  return client;
}
