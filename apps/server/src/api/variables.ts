import { BoughError } from '@bough/domain/bough-error';
import { Secret } from '@bough/domain/secret';
import { appendEvent } from '@bough/store/events';
import { deleteVariable, listVariables, setVariable } from '@bough/store/variables';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { notFound, Problem } from '../problem.ts';
import { requireProject } from './find.ts';
import { lookAtProject } from './look.ts';
import { ProjectByKey, VariableView } from './schemas.ts';
import { viewVariable } from './views.ts';

const VariableName = z
  .string()
  .max(100)
  .regex(/^[A-Za-z_][A-Za-z0-9_:]*$/, 'must be letters, digits and underscores, not starting with a digit');

/** Variables and secrets of a project. Whatever changes them has its environments looked at, which deploys them anew. */
export function variableRoutes(options: ServerOptions): FastifyPluginAsyncZod {
  const { pool } = options;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/projects/:project/variables',
      schema: {
        tags: ['variables'],
        summary: 'Names and what they are for; values are never given out',
        params: ProjectByKey,
        response: { 200: z.object({ variables: z.array(VariableView) }), default: Problem },
      },
      handler: async ({ params }) => {
        const { id } = await requireProject(pool, params.project);
        return { variables: (await listVariables(pool, id)).map(viewVariable) };
      },
    });

    app.route({
      method: 'PUT',
      url: '/projects/:project/variables/:name',
      schema: {
        tags: ['variables'],
        summary: 'Set a variable; environments that have it are deployed again',
        params: ProjectByKey.extend({ name: VariableName }),
        body: z.object({
          value: z.string().max(64 * 1024),
          secret: z.boolean().default(true),
          build: z.boolean().default(false),
          run: z.boolean().default(true),
          production: z.boolean().default(false),
          preview: z.boolean().default(false),
        }),
        response: { 204: z.null(), default: Problem },
      },
      handler: async ({ params, body }, reply) => {
        const { id } = await requireProject(pool, params.project);
        if (body.value.includes('\0')) throw useless('value', 'The value holds a NUL character.');
        if (!body.build && !body.run)
          throw useless('build, run', 'Neither builds nor workloads would see it.');
        if (!body.production && !body.preview) {
          throw useless('production, preview', 'Neither production nor previews would see it.');
        }
        await setVariable(pool, options.encryption, {
          projectId: id,
          name: params.name,
          value: new Secret(body.value),
          secret: body.secret,
          atBuild: body.build,
          atRun: body.run,
          forProduction: body.production,
          forPreview: body.preview,
        });
        const { secret, build, run, production, preview } = body;
        await appendEvent(pool, {
          ...{ projectId: id, environmentId: null, actor: 'admin', kind: 'variable.set' },
          detail: { name: params.name, secret, build, run, production, preview },
        });
        await lookAtProject(options, id);
        return reply.status(204).send(null);
      },
    });

    app.route({
      method: 'DELETE',
      url: '/projects/:project/variables/:name',
      schema: {
        tags: ['variables'],
        params: ProjectByKey.extend({ name: VariableName }),
        response: { 204: z.null(), default: Problem },
      },
      handler: async ({ params }, reply) => {
        const project = await requireProject(pool, params.project);
        const isDeleted = await deleteVariable(pool, { projectId: project.id, name: params.name });
        if (!isDeleted) {
          const hint = `GET /api/v1/projects/${project.slug}/variables lists them.`;
          throw notFound(`variable "${params.name}" in project ${project.slug}`, hint);
        }
        await appendEvent(pool, {
          ...{ projectId: project.id, environmentId: null, actor: 'admin', kind: 'variable.removed' },
          detail: { name: params.name },
        });
        await lookAtProject(options, project.id);
        return reply.status(204).send(null);
      },
    });
  };
}

function useless(fields: string, message: string): BoughError {
  return new BoughError({ code: 'request-malformed', message, hint: `Change ${fields}.` });
}
