import type { FastifyReply, FastifyRequest } from 'fastify';
import type { World } from '../world.ts';

const DEFAULT_PER_PAGE = 30;
const MAX_PER_PAGE = 100;

/** One page of a listing, with GitHub's `Link` header on the answer. */
export function pageOf<T>(
  world: World,
  request: FastifyRequest,
  reply: FastifyReply,
  all: readonly T[],
): T[] {
  const query = request.query as Record<string, string | undefined>;
  const perPage = perPageOf(request);
  const page = Math.max(Number(query.page ?? 1) || 1, 1);
  const last = Math.max(Math.ceil(all.length / perPage), 1);
  const links: string[] = [];
  const link = (to: number, rel: string) => {
    const url = new URL(request.originalUrl, world.url);
    url.searchParams.set('page', String(to));
    links.push(`<${url.href}>; rel="${rel}"`);
  };
  if (page > 1) link(page - 1, 'prev');
  if (page < last) {
    link(page + 1, 'next');
    link(last, 'last');
  }
  if (page > 1) link(1, 'first');
  if (links.length > 0) reply.header('link', links.join(', '));
  return all.slice((page - 1) * perPage, page * perPage);
}

export function perPageOf(request: FastifyRequest): number {
  const wanted = Number((request.query as { per_page?: string }).per_page) || DEFAULT_PER_PAGE;
  return Math.min(Math.max(wanted, 1), MAX_PER_PAGE);
}
