import { BoughError } from '@bough/domain/bough-error';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { registerApi } from './api/api.ts';
import { createAuthentication } from './authenticate.ts';
import { closeConnectionsOnStop } from './close-connections.ts';
import { createStreamLimiter } from './event-stream.ts';
import { registerHealth } from './health.ts';
import { registerInstallationMetrics } from './installation-metrics.ts';
import type { ServerOptions } from './options.ts';
import { registerPages } from './pages/pages.ts';
import { installProblemHandlers, problem } from './problem.ts';
import { createProjectDeliveries } from './project-deliveries.ts';
import { createDeliveryReceiver } from './receive-delivery.ts';
import { createRepositoryChanges } from './repository-changes.ts';
import { registerWebhooks } from './webhooks.ts';

/**
 * Webhooks in, the API, the pages that comments link to, health and metrics. Stateless. `close()` lets requests end,
 * ends followed logs, and waits for what is still being written behind answers; pool and queues are the caller's.
 */
export function buildServer(options: ServerOptions): FastifyInstance {
  const app = fastify({
    // A request has to have arrived after this long; what is sent back (a followed log) may take longer.
    requestTimeout: 60_000,
    keepAliveTimeout: 72_000,
    bodyLimit: 64 * 1024,
    routerOptions: { maxParamLength: 500 },
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    // A request of its own per line would be loud; failures are logged by the error handler, the rest is counted.
    logger: false,
    frameworkErrors: (_error, _request, reply) => sendMalformedPath(reply as unknown as FastifyReply),
  });
  const authentication = createAuthentication(options);
  const counted = createProjectDeliveries(options);
  const repositoryChanges = createRepositoryChanges(options);
  const receiver = createDeliveryReceiver({ ...options, repositoryChanges, counted });
  const streams = createStreamLimiter();
  installProblemHandlers(app, options.log);
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff');
  });
  registerWebhooks(app, { ...options, receiver });
  registerHealth(app, options);
  registerInstallationMetrics(options);
  registerApi(app, { ...options, authentication, receiver, streams });
  registerPages(app, { ...options, authentication });
  app.addHook('preClose', async () => streams.stopAll());
  closeConnectionsOnStop(app);
  app.addHook('onListen', () => {
    const failed = (error: unknown) => options.log.warn({ err: error }, 'start not completed');
    void Promise.all([repositoryChanges.resume(), counted.startAtZero()]).catch(failed);
  });
  app.addHook('onClose', async () => receiver.drain());
  return app;
}

/** A path such as `/%zz` fails before there are any hooks and handlers. */
function sendMalformedPath(reply: FastifyReply): void {
  const body = problem({ code: 'request-malformed', message: 'The path is malformed.', place: 'path' });
  void reply.status(400).type('application/json').send(JSON.stringify(body));
}

/** Listens, and says what to do when the port is taken. */
export async function listen(app: FastifyInstance, at: { host: string; port: number }): Promise<string> {
  try {
    return await app.listen(at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new BoughError({
      code: 'port-taken',
      message: `Port ${at.port} on ${at.host} is taken by another process.`,
      hint: 'Stop that one, or set BOUGH_PORT to another port.',
      cause: error,
    });
  }
}
