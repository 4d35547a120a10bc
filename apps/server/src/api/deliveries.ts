import { findDelivery, listDeliveries, reopenDelivery } from '@bough/store/deliveries';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { notFound, Problem } from '../problem.ts';
import type { DeliveryReceiver } from '../receive-delivery.ts';
import { requireProject } from './find.ts';
import { DeliveryView, fates } from './schemas.ts';
import { viewDelivery } from './views.ts';

const Id = z.string().regex(/^\d{1,18}$/, 'must be the id of a delivery, a number');
const ById = z.object({ delivery: Id });
const hint = 'GET /api/v1/deliveries lists those of the last days.';

export function deliveryRoutes(
  options: ServerOptions & { receiver: DeliveryReceiver },
): FastifyPluginAsyncZod {
  const { pool, receiver } = options;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/deliveries',
      schema: {
        tags: ['deliveries'],
        summary: 'Webhook requests and what became of them, newest first',
        querystring: z.object({
          project: z.string().max(200).optional().describe('Slug or id'),
          subject: z.string().max(300).optional(),
          fate: z.enum(fates).optional(),
          before: Id.optional().describe('Only older ones than this id: the next page'),
          limit: z.coerce.number().int().min(1).max(500).default(50),
        }),
        response: { 200: z.object({ deliveries: z.array(DeliveryView) }), default: Problem },
      },
      handler: async ({ query }) => {
        const { project: key, subject, fate, before, limit } = query;
        const project = key === undefined ? undefined : await requireProject(pool, key);
        const deliveries = await listDeliveries(pool, {
          limit,
          ...(project === undefined ? {} : { repositoryId: project.repositoryId }),
          ...(subject === undefined ? {} : { subject }),
          ...(fate === undefined ? {} : { fate }),
          ...(before === undefined ? {} : { before }),
        });
        return { deliveries: deliveries.map(viewDelivery) };
      },
    });

    app.route({
      method: 'GET',
      url: '/deliveries/:delivery',
      schema: {
        tags: ['deliveries'],
        summary: 'One delivery with what was understood of it',
        params: ById,
        response: { 200: DeliveryView.extend({ payload: z.unknown() }), default: Problem },
      },
      handler: async ({ params }) => {
        const delivery = await findDelivery(pool, params.delivery);
        if (!delivery) throw notFound(`delivery ${params.delivery}`, hint);
        return { ...viewDelivery(delivery), payload: delivery.payload };
      },
    });

    app.route({
      method: 'POST',
      url: '/deliveries/:delivery/replay',
      schema: {
        tags: ['deliveries'],
        summary: 'Act on a delivery again, with the world as it is now',
        params: ById,
        response: {
          202: DeliveryView.pick({ deliveryId: true, fate: true, reason: true }),
          default: Problem,
        },
      },
      handler: async ({ params }, reply) => {
        const delivery = await reopenDelivery(pool, params.delivery);
        if (!delivery) throw notFound(`delivery ${params.delivery}`, hint);
        const { deliveryId, fate, reason } = await receiver.replay(delivery);
        return reply.status(202).send({ deliveryId, fate, reason });
      },
    });
  };
}
