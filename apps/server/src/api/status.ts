import { phase } from '@bough/domain/environment';
import { unsettledDeliveries } from '@bough/store/deliveries';
import { listEnvironments } from '@bough/store/environments';
import { readStorageChoice } from '@bough/store/installation';
import { listProjects } from '@bough/store/projects';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { ServerOptions } from '../options.ts';
import { Problem } from '../problem.ts';
import { Status } from './schemas.ts';

const settledWithinMs = 60_000;

export function statusRoutes(options: ServerOptions): FastifyPluginAsyncZod {
  const { pool, queues, installationId, version } = options;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/status',
      schema: { tags: ['status'], summary: 'Totals', response: { 200: Status, default: Problem } },
      handler: async () => {
        const [projects, environments, unsettled, queue, storage] = await Promise.all([
          listProjects(pool),
          listEnvironments(pool),
          unsettledDeliveries(pool, new Date(Date.now() - settledWithinMs)),
          queues.counts().catch(() => null),
          readStorageChoice(pool),
        ]);
        const byPhase: Record<string, number> = {};
        for (const row of environments) byPhase[phase(row)] = (byPhase[phase(row)] ?? 0) + 1;
        return {
          ...{ installationId, version, environments: byPhase },
          projects: projects.length,
          queue: queue && { ...queue },
          unsettledDeliveries: unsettled.length,
          storage: storage === undefined ? null : { kind: storage.kind, tried: [...storage.tried] },
        };
      },
    });
  };
}
