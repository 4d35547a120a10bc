import { Redis } from 'ioredis';
import { environment } from './environment.js';

/**
 * The queue carries order ids from the web process to the worker. It only wakes the worker up: what is to be packed is
 * in the database, so that losing the queue (previews start with an empty one) loses no order.
 */
const LIST = 'shop:orders';
const CHANNEL = 'shop:order-states';

export function connectQueue() {
  const redis = new Redis(environment.queueUrl, {
    maxRetriesPerRequest: 2,
    connectTimeout: 5_000,
    retryStrategy: (attempt) => Math.min(attempt * 200, 2_000),
  });
  redis.on('error', (error) => console.error(`queue: ${error.message}`));
  return redis;
}

export async function announceOrder(redis, orderId) {
  await redis.lpush(LIST, String(orderId));
}

/** Waits up to `seconds` for an order id; undefined when there was none. */
export async function nextOrder(redis, seconds) {
  const item = await redis.brpop(LIST, seconds);
  return item?.[1];
}

export async function waiting(redis) {
  return await redis.llen(LIST);
}

export async function publishState(redis, state) {
  await redis.publish(CHANNEL, JSON.stringify(state));
}

export async function subscribeStates(redis, onState) {
  redis.on('message', (channel, message) => {
    if (channel === CHANNEL) onState(JSON.parse(message));
  });
  await redis.subscribe(CHANNEL);
}
