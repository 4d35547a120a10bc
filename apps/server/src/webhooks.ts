import { BoughError } from '@bough/domain/bough-error';
import type { Forge } from '@bough/forge/forge';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ServerOptions } from './options.ts';
import type { DeliveryReceiver, Received } from './receive-delivery.ts';

/** GitHub sends at most 25 MB. */
const bodyLimit = 25 * 1024 * 1024;
/** What this process holds in memory at once before anybody is proven to be the forge. */
const bytesInFlightMax = 8 * bodyLimit;
const requestsInFlightMax = 500;

const webhookOutcomes = [
  'queued',
  'received',
  'observed',
  'declined',
  'ignored',
  'repeated',
  'unsigned',
  'signature-wrong',
  'malformed',
  'too-large',
  'busy',
  'failed',
] as const;
type WebhookOutcome = (typeof webhookOutcomes)[number];

/**
 * `POST /webhooks/<forge>`. A delivery is answered 202 once it is stored, and never before: the forge records anything
 * else as failed and can deliver it again. Nothing is read from a body whose signature was not checked.
 */
export function registerWebhooks(
  app: FastifyInstance,
  options: Pick<ServerOptions, 'forges' | 'metrics' | 'log'> & { receiver: DeliveryReceiver },
): void {
  const outcomes = options.metrics.counter({
    name: 'bough_webhook_requests_total',
    help: 'Webhook requests, by what became of them',
    values: { outcome: webhookOutcomes },
  });
  const duration = options.metrics.histogram({
    name: 'bough_webhook_duration_seconds',
    help: 'Time to answer a webhook request',
    buckets: [0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  });

  app.register(async (scope) => {
    // The signature is over the bytes, so nothing may parse them first.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) =>
      done(null, body),
    );
    limitInFlight(scope);
    scope.addHook('onResponse', async (request, reply) => {
      outcomes.inc({ outcome: outcomeOf(request, reply.statusCode) });
      duration.observe(reply.elapsedTime / 1000);
    });
    for (const [segment, forge] of Object.entries(options.forges)) {
      scope.post(`/webhooks/${segment}`, { bodyLimit }, async (request, reply) => {
        const received = await receive(forge, request, options.receiver);
        received.isRepeat ? results.set(request, 'repeated') : results.set(request, received.fate);
        const { deliveryId, fate, reason } = received;
        return reply.status(202).send({ deliveryId, fate, ...(reason === null ? {} : { reason }) });
      });
    }
  });
}

const results = new WeakMap<FastifyRequest, WebhookOutcome>();

function outcomeOf(request: FastifyRequest, status: number): WebhookOutcome {
  if (status === 413) return 'too-large';
  return results.get(request) ?? 'failed';
}

async function receive(forge: Forge, request: FastifyRequest, receiver: DeliveryReceiver): Promise<Received> {
  const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const headers = singleHeaders(request);
  const verdict = await forge.verify(rawBody, headers);
  if (verdict !== 'valid') {
    results.set(request, verdict === 'absent' ? 'unsigned' : 'signature-wrong');
    throw unsigned(verdict);
  }
  // Until something is stored, the only failure that is the sender's is a body that cannot be understood.
  const parsed = parseOrCount(() => forge.parse(rawBody, headers), request);
  return receiver.receive(forge, parsed);
}

function parseOrCount<Parsed>(parse: () => Parsed, request: FastifyRequest): Parsed {
  try {
    return parse();
  } catch (error) {
    results.set(request, 'malformed');
    throw error;
  }
}

function unsigned(verdict: 'absent' | 'invalid'): BoughError {
  if (verdict === 'absent') {
    return new BoughError({
      code: 'webhook-unsigned',
      message: 'The request carries no signature.',
      hint: 'Set a secret on the webhook; it must be one of GITHUB_WEBHOOK_SECRET.',
    });
  }
  return new BoughError({
    code: 'webhook-signature-wrong',
    message: 'The signature does not fit the body.',
    hint: "The webhook's secret must be one of GITHUB_WEBHOOK_SECRET (comma-separated while rotating), and no proxy may change the body.",
  });
}

function singleHeaders(request: FastifyRequest): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
  );
}

/** Bounds the memory that strangers can make us use. Without a length a request counts as the largest. */
function limitInFlight(scope: FastifyInstance): void {
  let bytes = 0;
  let requests = 0;
  const held = new WeakMap<FastifyRequest, number>();
  scope.addHook('onRequest', async (request) => {
    const declared = Number(request.headers['content-length'] ?? bodyLimit);
    const size = Math.min(Number.isFinite(declared) ? declared : bodyLimit, bodyLimit);
    if (bytes + size > bytesInFlightMax || requests >= requestsInFlightMax) {
      results.set(request, 'busy');
      throw new BoughError({
        code: 'server-busy',
        message: 'Too many deliveries at once.',
        hint: 'Deliver again later.',
        retryable: true,
      });
    }
    bytes += size;
    requests += 1;
    held.set(request, size);
    const release = () => {
      const kept = held.get(request);
      if (kept === undefined) return;
      held.delete(request);
      bytes -= kept;
      requests -= 1;
    };
    // `close` comes also when the sender hangs up half-way.
    request.raw.once('close', release);
  });
}
