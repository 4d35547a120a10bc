import { appendEvent } from '@bough/store/events';
import { findProjectByFullName, listProjects } from '@bough/store/projects';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { Problem } from '../problem.ts';
import { requireProject } from './find.ts';
import { lookAtProject } from './look.ts';
import { ProjectByKey, ProjectView } from './schemas.ts';
import { viewProject } from './views.ts';

const Repository = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9][A-Za-z0-9-]*\/[A-Za-z0-9._-]+$/, 'must be owner/name');

export function projectRoutes(options: ServerOptions): FastifyPluginAsyncZod {
  const { pool } = options;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/projects',
      schema: {
        tags: ['projects'],
        summary: 'Active projects',
        querystring: z.object({ repository: Repository.optional().describe('Only this one: owner/name') }),
        response: { 200: z.object({ projects: z.array(ProjectView) }), default: Problem },
      },
      handler: async ({ query }) => {
        if (query.repository === undefined) return { projects: (await listProjects(pool)).map(viewProject) };
        const found = await findProjectByFullName(pool, splitRepository(query.repository));
        return { projects: found?.state === 'active' ? [viewProject(found)] : [] };
      },
    });

    app.route({
      method: 'POST',
      url: '/projects',
      schema: {
        tags: ['projects'],
        summary: 'Connect a repository',
        body: z.object({
          repository: Repository,
          production: z.enum(['external', 'managed']).default('external'),
          intake: z.enum(['webhook', 'app', 'poll']).optional(),
        }),
        response: { 201: ProjectView, default: Problem },
      },
      handler: async ({ body }, reply) => {
        const { production, intake } = body;
        const repository = splitRepository(body.repository);
        const project = await options.projects.connect({
          ...{ ...repository, production },
          ...(intake === undefined ? {} : { intake }),
        });
        await lookAtProject(options, project.id);
        return reply.status(201).send(viewProject(project));
      },
    });

    app.route({
      method: 'GET',
      url: '/projects/:project',
      schema: { tags: ['projects'], params: ProjectByKey, response: { 200: ProjectView, default: Problem } },
      handler: async ({ params }) => viewProject(await requireProject(pool, params.project)),
    });

    app.route({
      method: 'DELETE',
      url: '/projects/:project',
      schema: {
        tags: ['projects'],
        summary: 'Stop serving a repository; its previews are removed',
        params: ProjectByKey,
        response: { 202: ProjectView, default: Problem },
      },
      handler: async ({ params }, reply) => {
        const project = await requireProject(pool, params.project);
        await options.projects.disconnect(project);
        await appendEvent(pool, {
          ...{ projectId: project.id, environmentId: null, actor: 'admin', kind: 'project.removed' },
          detail: { repository: `${project.owner}/${project.name}` },
        });
        await lookAtProject(options, project.id);
        return reply.status(202).send(viewProject(await requireProject(pool, project.id)));
      },
    });

    app.route({
      method: 'POST',
      url: '/projects/:project/manifest',
      schema: {
        tags: ['projects'],
        summary: 'Open (or find) the pull request that adds the first manifest',
        params: ProjectByKey,
        body: z.object({
          type: z.string().max(100).default('nodejs:22').describe('Runtime and version'),
          start: z
            .string()
            .min(1)
            .max(1000)
            .default('npm start')
            .describe('Command that starts the web process'),
        }),
        response: { 201: z.object({ number: z.number(), url: z.string() }), default: Problem },
      },
      handler: async ({ params, body }, reply) => {
        const project = await requireProject(pool, params.project);
        return reply.status(201).send(await options.projects.propose(project, body));
      },
    });
  };
}

function splitRepository(repository: string): { owner: string; name: string } {
  const [owner = '', name = ''] = repository.split('/');
  return { owner, name };
}
