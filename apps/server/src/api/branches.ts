import { parseDuration } from '@bough/domain/duration';
import { findLivingEnvironment, listEnvironments } from '@bough/store/environments';
import { insertRequest } from '@bough/store/requests';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { notFound, Problem } from '../problem.ts';
import { requireProject } from './find.ts';
import { look } from './look.ts';
import { ActionAnswer, BranchOf, EnvironmentView, ProjectByKey } from './schemas.ts';
import { viewEnvironment } from './views.ts';

const Name = z.string().min(1).max(100);
/** Long enough for a weekend, short enough that none is forgotten. */
const DEFAULT_EXPIRES = '3d';
const FORGE_TIMEOUT_MS = 60_000;

const BranchBody = z.object({
  name: Name.describe('Part of its address: lower case letters, digits and single hyphens'),
  from: z.string().min(1).max(300).default('production').describe('production, pr-7, or another branch'),
  commit: z.string().min(7).max(64).optional().describe('Absent: what the source runs'),
  data: z.enum(['golden', 'none']).default('golden'),
  expires: z
    .string()
    .max(20)
    .default(DEFAULT_EXPIRES)
    .refine(
      (text) => parseDuration(text) !== undefined,
      'must be a number and a unit, up to a year: 12h, 3d',
    ),
  askedBy: z.string().min(1).max(100).optional(),
});

const BranchAnswer = ActionAnswer.extend({
  slug: z.string(),
  subject: z.string(),
  commit: z.string(),
  branchOf: BranchOf,
  expiresAt: z.iso.datetime(),
});

/** Environments for bugs, without a pull request. */
export function branchRoutes(options: ServerOptions): FastifyPluginAsyncZod {
  const { pool } = options;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/projects/:project/branches',
      schema: {
        tags: ['branches'],
        summary: 'Environments that were branched',
        params: ProjectByKey,
        response: { 200: z.object({ branches: z.array(EnvironmentView) }), default: Problem },
      },
      handler: async ({ params }) => {
        const { id: projectId } = await requireProject(pool, params.project);
        const listed = await listEnvironments(pool, { projectId });
        return { branches: listed.filter(({ branchOf }) => branchOf !== null).map(viewEnvironment) };
      },
    });

    app.route({
      method: 'POST',
      url: '/projects/:project/branches',
      schema: {
        tags: ['branches'],
        summary: 'Branch production, or a preview: its code and the golden snapshot of its data',
        params: ProjectByKey,
        body: BranchBody,
        response: { 202: BranchAnswer, default: Problem },
      },
      handler: async ({ params, body }, reply) => {
        const project = await requireProject(pool, params.project);
        const { expires, askedBy = 'admin', ...wish } = body;
        const opened = await options.projects.branch(
          project,
          { ...wish, askedBy, seconds: parseDuration(expires) ?? 0 },
          AbortSignal.timeout(FORGE_TIMEOUT_MS),
        );
        const { requestId, slug, subject, commit, branchOf } = opened;
        return reply.status(202).send({
          ...{ requestId, slug, subject, commit, branchOf },
          expiresAt: opened.expiresAt.toISOString(),
          queued: await look(options, project.id, subject),
        });
      },
    });

    app.route({
      method: 'DELETE',
      url: '/projects/:project/branches/:name',
      schema: {
        tags: ['branches'],
        summary: 'Remove a branch with its data',
        params: ProjectByKey.extend({ name: Name }),
        querystring: z.object({ askedBy: z.string().min(1).max(100).default('admin') }),
        response: { 202: ActionAnswer, default: Problem },
      },
      handler: async ({ params, query }, reply) => {
        const { id: projectId, slug } = await requireProject(pool, params.project);
        const subject = `branch/${params.name}`;
        const found = await findLivingEnvironment(pool, { projectId, subject });
        if (found === undefined || found.branchOf === null)
          throw notFound(
            `branch ${params.name} in ${slug}`,
            `\`bough branch list --project ${slug}\` lists them.`,
          );
        const asked = { projectId, subject, kind: 'delete', argument: null, askedBy: query.askedBy } as const;
        const { id } = await insertRequest(pool, asked);
        return reply.status(202).send({ requestId: id, queued: await look(options, projectId, subject) });
      },
    });
  };
}
