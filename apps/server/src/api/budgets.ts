import { PRUNE_KEY } from '@bough/reconcile/budgets/prune';
import { listBudgets } from '@bough/store/budgets';
import { appendEvent } from '@bough/store/events';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { Problem } from '../problem.ts';
import { RefreshBody } from './data.ts';
import { BudgetsView } from './schemas.ts';

/** What Bough keeps because it may be needed again: how much of it there is, and less of it on request. */
export function budgetRoutes({ pool, queues, log }: ServerOptions): FastifyPluginAsyncZod {
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/storage/budgets',
      schema: {
        tags: ['storage'],
        summary: 'Budgets and what is used of them, as measured last',
        response: { 200: BudgetsView, default: Problem },
      },
      handler: async () => {
        const budgets = await listBudgets(pool);
        return {
          budgets: budgets.map(({ measuredAt, prunedAt, ...budget }) => ({
            ...budget,
            measuredAt: measuredAt.toISOString(),
            prunedAt: prunedAt?.toISOString() ?? null,
          })),
        };
      },
    });

    app.route({
      method: 'POST',
      url: '/storage/prune',
      schema: {
        tags: ['storage'],
        summary: 'Measure now, and remove what is beyond the budgets',
        body: RefreshBody,
        response: { 202: z.object({ queued: z.boolean() }), default: Problem },
      },
      handler: async ({ body }, reply) => {
        const actor = body?.askedBy ?? 'admin';
        await appendEvent(pool, {
          ...{ projectId: null, environmentId: null, actor, kind: 'storage.prune-asked' },
        });
        const queued = await queues.enqueue('resync', PRUNE_KEY).then(
          () => true,
          (error: unknown) => {
            log.warn({ err: error }, 'pruning not queued');
            return false;
          },
        );
        return reply.status(202).send({ queued });
      },
    });
  };
}
