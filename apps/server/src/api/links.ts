import { linkTo, signAccess } from '@bough/domain/access-link';
import { BoughError } from '@bough/domain/bough-error';
import { parseDuration } from '@bough/domain/duration';
import { revokeLinks } from '@bough/store/access-links';
import { appendEvent } from '@bough/store/events';
import { listRoutes } from '@bough/store/routes';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { Problem } from '../problem.ts';
import { requireEnvironment } from './find.ts';
import { LinksView } from './schemas.ts';
import { routeUrl } from './views.ts';

const ByKey = z.object({ environment: z.string().max(200).describe('Slug or id') });
const Who = z.string().min(1).max(100).optional();
const SECONDS_DEFAULT = 3 * 86_400;
/** Links are copied into chats and tickets: one that lives for a year is a door left open. */
const SECONDS_MAX = 30 * 86_400;

/** Signed links to an environment with `access: link`. */
export function linkRoutes(options: ServerOptions): FastifyPluginAsyncZod {
  const { pool } = options;
  return async (app) => {
    app.route({
      method: 'POST',
      url: '/environments/:environment/links',
      schema: {
        tags: ['environments'],
        summary: 'Signed links, one for each address; whoever has one may come in until it expires',
        params: ByKey,
        body: z
          .object({
            expires: z.string().max(20).default('3d').describe('3d, 12h; at most 30d'),
            askedBy: Who,
          })
          .nullish(),
        response: { 201: LinksView, default: Problem },
      },
      handler: async ({ params, body }, reply) => {
        const environment = await requireEnvironment(pool, params.environment);
        const seconds = secondsOf(body?.expires);
        const routes = (await listRoutes(pool, environment.id)).filter(({ redirect }) => redirect === null);
        const signed = routes.flatMap((route) =>
          route.access.kind === 'link' ? [{ route, epoch: route.access.epoch }] : [],
        );
        if (signed.length === 0) throw notByLink(environment.slug, routes.length);
        const expiresAt = new Date((Math.floor(Date.now() / 1_000) + seconds) * 1_000);
        const links = signed.map(({ route, epoch }) => {
          const token = signAccess(
            options.linkKey,
            'link',
            { environmentId: environment.id, epoch },
            expiresAt,
          );
          return { url: linkTo(routeUrl(route, options.previewUrl), token), primary: route.isPrimary };
        });
        await appendEvent(pool, {
          ...{ projectId: environment.projectId, environmentId: environment.id },
          ...{ actor: body?.askedBy ?? 'admin', kind: 'links.made' },
          detail: { expiresAt: expiresAt.toISOString() },
        });
        return reply.status(201).send({ links, expiresAt: expiresAt.toISOString() });
      },
    });

    app.route({
      method: 'DELETE',
      url: '/environments/:environment/links',
      schema: {
        tags: ['environments'],
        summary: 'Ends every link made so far, those in comments too, and the visits that began with one',
        params: ByKey,
        querystring: z.object({ askedBy: Who }),
        response: { 200: z.object({ revoked: z.literal(true) }), default: Problem },
      },
      handler: async ({ params, query }) => {
        const { id, projectId } = await requireEnvironment(pool, params.environment);
        await revokeLinks(pool, id);
        await appendEvent(pool, {
          ...{ projectId, environmentId: id, actor: query.askedBy ?? 'admin', kind: 'links.revoked' },
        });
        return { revoked: true as const };
      },
    });
  };
}

function secondsOf(expires: string | undefined): number {
  if (expires === undefined) return SECONDS_DEFAULT;
  const seconds = parseDuration(expires);
  if (seconds !== undefined && seconds <= SECONDS_MAX) return seconds;
  throw new BoughError({
    code: 'bad-duration',
    message: `"${expires}" is not a time for which a link may be valid.`,
    hint: 'Write a number and a unit, up to 30 days: 12h, 3d.',
  });
}

function notByLink(slug: string, routes: number): BoughError {
  return new BoughError({
    code: 'not-by-link',
    message: routes === 0 ? `${slug} has no address yet.` : `${slug} is not opened by links.`,
    hint:
      routes === 0
        ? `Ask why: bough why ${slug}`
        : 'That is so where `previews: access: link` of the default branch was read by its last deployment. `bough env show` prints the way in.',
  });
}
