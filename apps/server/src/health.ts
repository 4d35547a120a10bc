import type { FastifyInstance } from 'fastify';
import type { ServerOptions } from './options.ts';

const checkTimeoutMs = 2_000;

/**
 * `/healthz`: the process answers. `/readyz`: so do the stores that it needs; 503 says which does not. `/metrics`: for
 * Prometheus; it holds no names of people or repositories.
 */
export function registerHealth(
  app: FastifyInstance,
  options: Pick<ServerOptions, 'pool' | 'queues' | 'metrics'>,
): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const [database, queue] = await Promise.all([
      answers(options.pool.query('select 1')),
      answers(options.queues.counts()),
    ]);
    return reply
      .status(database && queue ? 200 : 503)
      .send({ status: database && queue ? 'ready' : 'not ready', checks: { database, queue } });
  });
  options.metrics.gauge({
    name: 'bough_queue_jobs',
    help: 'Looks in the queue, by state',
    labels: ['queue', 'state'],
    async collect(gauge) {
      const counts = await options.queues.counts().catch(() => undefined);
      gauge.reset();
      for (const [queue, states] of Object.entries(counts ?? {})) {
        for (const [state, count] of Object.entries(states)) gauge.set({ queue, state }, count);
      }
    },
  });
  app.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await options.metrics.render();
    return reply.type(contentType).send(body);
  });
}

async function answers(work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), checkTimeoutMs);
  });
  const answered = work.then(
    () => true,
    () => false,
  );
  const inTime = await Promise.race([answered, late]);
  clearTimeout(timer);
  return inTime;
}
