import { listEvents } from '@bough/store/events';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { Problem } from '../problem.ts';
import { requireProject } from './find.ts';
import { EventView } from './schemas.ts';
import { viewEvent } from './views.ts';

/** What happened and who asked for it: the audit log, for as long as events are kept. */
export function eventRoutes({ pool }: ServerOptions): FastifyPluginAsyncZod {
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/events',
      schema: {
        tags: ['status'],
        summary: 'What happened and who asked for it, newest first',
        querystring: z.object({
          project: z.string().max(200).optional().describe('Slug or id'),
          limit: z.coerce.number().int().min(1).max(500).default(50),
        }),
        response: { 200: z.object({ events: z.array(EventView) }), default: Problem },
      },
      handler: async ({ query: { project, limit } }) => {
        const projectId = project === undefined ? undefined : (await requireProject(pool, project)).id;
        const filter = { limit, ...(projectId === undefined ? {} : { projectId }) };
        return { events: (await listEvents(pool, filter)).map(viewEvent) };
      },
    });
  };
}
