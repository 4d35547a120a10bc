import type { FastifyReply, FastifyRequest } from 'fastify';
import { presentDelivery } from '../present/hook.ts';
import type { World } from '../world.ts';
import { perPageOf } from './page-of.ts';
import { queryOf } from './target.ts';

/**
 * A hook's deliveries, newest first. Unlike everything else they are paged by a cursor, so that deliveries which arrive
 * meanwhile shift nothing; `page` is ignored, here as at GitHub.
 */
export function deliveryPage(world: World, request: FastifyRequest, reply: FastifyReply, hookId: number) {
  const { cursor, status } = queryOf(request);
  const before = cursor ? Number(cursor.replace(/^v1_/, '')) : Number.POSITIVE_INFINITY;
  const perPage = perPageOf(request);
  const matching = world.state.deliveries
    .filter((delivery) => delivery.hookId === hookId && delivery.id < before)
    .filter((delivery) => !status || (status === 'success') === succeeded(delivery.statusCode))
    .sort((a, b) => b.id - a.id);
  const page = matching.slice(0, perPage);
  const last = page.at(-1);
  if (last && matching.length > page.length) {
    const url = new URL(request.originalUrl, world.url);
    url.searchParams.set('cursor', `v1_${last.id}`);
    reply.header('link', `<${url.href}>; rel="next"`);
  }
  return page.map(presentDelivery);
}

function succeeded(statusCode: number): boolean {
  return statusCode >= 200 && statusCode < 300;
}
