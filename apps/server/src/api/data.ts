import { askForRefresh, findDataRefresh } from '@bough/store/data-refreshes';
import { listKeptSnapshots } from '@bough/store/snapshots';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { Problem } from '../problem.ts';
import { requireProject } from './find.ts';
import { GoldensView } from './schemas.ts';
import { viewGolden, viewRefresh } from './views.ts';
import { failingCapture } from './why.ts';

const ByKey = z.object({ project: z.string().max(200).describe('Slug or id') });
/** May be left out. */
export const RefreshBody = z
  .object({
    askedBy: z.string().min(1).max(100).optional().describe('Who asks, for the record; default "admin"'),
  })
  .nullish();

/** Golden snapshots of a project: what previews are cloned from, and how the last refresh went. */
export function dataRoutes(options: ServerOptions): FastifyPluginAsyncZod {
  const { pool } = options;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/projects/:project/data',
      schema: {
        tags: ['data'],
        summary: 'Golden snapshots, newest first, and the last refresh',
        params: ByKey,
        response: { 200: GoldensView, default: Problem },
      },
      handler: async ({ params }) => {
        const { id } = await requireProject(pool, params.project);
        const kept = await listKeptSnapshots(pool, id);
        const refresh = await findDataRefresh(pool, id);
        return {
          goldens: kept.filter(({ state }) => state === 'frozen').map(viewGolden),
          refresh: refresh === undefined ? null : viewRefresh(refresh),
          failure: await failingCapture(pool, id),
        };
      },
    });

    app.route({
      method: 'POST',
      url: '/projects/:project/data/refresh',
      schema: {
        tags: ['data'],
        summary: 'Make a new golden snapshot; previews that start or sync afterwards get it',
        params: ByKey,
        body: RefreshBody,
        response: { 202: z.object({ queued: z.boolean() }), default: Problem },
      },
      handler: async ({ params, body }, reply) => {
        const { id } = await requireProject(pool, params.project);
        await askForRefresh(pool, { projectId: id, askedBy: body?.askedBy ?? 'admin' });
        return reply.status(202).send({ queued: await queueRefresh(options, id) });
      },
    });
  };
}

/** False when the queue is down: what was asked is stored, and resync looks later. */
export async function queueRefresh(
  { queues, log }: Pick<ServerOptions, 'queues' | 'log'>,
  projectId: string,
): Promise<boolean> {
  try {
    await queues.enqueue('data', projectId);
    return true;
  } catch (error) {
    log.warn({ err: error, projectId }, 'look at the data not queued');
    return false;
  }
}
