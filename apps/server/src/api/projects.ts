import { BoughError } from '@bough/domain/bough-error';
import { Secret } from '@bough/domain/secret';
import { parseSubject } from '@bough/domain/subject';
import { findLivingEnvironment } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { findProjectByFullName, listProjects } from '@bough/store/projects';
import { insertRequest } from '@bough/store/requests';
import { deleteVariable, listVariables, setVariable } from '@bough/store/variables';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { notFound, Problem } from '../problem.ts';
import { checkArgument, checkOpen, checkSubject } from './check-argument.ts';
import { requireProject } from './find.ts';
import { look, lookAtProject } from './look.ts';
import { ActionAnswer, ActionBody, ProjectView, VariableView, Why } from './schemas.ts';
import { viewProject, viewVariable } from './views.ts';
import { explain } from './why.ts';

const Repository = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9][A-Za-z0-9-]*\/[A-Za-z0-9._-]+$/, 'must be owner/name');
const ByKey = z.object({ project: z.string().max(200).describe('Slug or id') });
const VariableName = z
  .string()
  .max(100)
  .regex(/^[A-Za-z_][A-Za-z0-9_:]*$/, 'must be letters, digits and underscores, not starting with a digit');
const SubjectText = z
  .string()
  .max(300)
  .refine((text) => parseSubject(text) !== undefined, 'must be production, pull/<number> or branch/<name>');

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
      schema: { tags: ['projects'], params: ByKey, response: { 200: ProjectView, default: Problem } },
      handler: async ({ params }) => viewProject(await requireProject(pool, params.project)),
    });

    app.route({
      method: 'DELETE',
      url: '/projects/:project',
      schema: {
        tags: ['projects'],
        summary: 'Stop serving a repository; its previews are removed',
        params: ByKey,
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
        params: ByKey,
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

    app.route({
      method: 'POST',
      url: '/projects/:project/actions',
      schema: {
        tags: ['projects'],
        summary: 'Ask for something for a subject that may have no environment yet',
        params: ByKey,
        body: ActionBody.extend({ subject: SubjectText }),
        response: { 202: ActionAnswer, default: Problem },
      },
      handler: async ({ params, body }, reply) => {
        const project = await requireProject(pool, params.project);
        const { subject, kind, argument = null, askedBy = 'admin' } = body;
        checkArgument(kind, argument);
        checkSubject(kind, subject);
        checkOpen(kind, await findLivingEnvironment(pool, { projectId: project.id, subject }));
        const asked = { projectId: project.id, subject, kind, argument, askedBy };
        const { id } = await insertRequest(pool, asked);
        await appendEvent(pool, {
          ...{ projectId: project.id, environmentId: null, actor: askedBy, kind: `asked.${kind}` },
          detail: { subject, argument },
        });
        return reply.status(202).send({ requestId: id, queued: await look(options, project.id, subject) });
      },
    });

    app.route({
      method: 'GET',
      url: '/projects/:project/why',
      schema: {
        tags: ['projects'],
        summary: 'Why a subject is as it is, also when it has no environment',
        params: ByKey,
        querystring: z.object({ subject: SubjectText }),
        response: { 200: Why, default: Problem },
      },
      handler: async ({ params, query }) =>
        explain(pool, await requireProject(pool, params.project), query.subject),
    });

    app.route({
      method: 'GET',
      url: '/projects/:project/variables',
      schema: {
        tags: ['variables'],
        summary: 'Names and what they are for; values are never given out',
        params: ByKey,
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
        params: ByKey.extend({ name: VariableName }),
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
        params: ByKey.extend({ name: VariableName }),
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

function splitRepository(repository: string): { owner: string; name: string } {
  const [owner = '', name = ''] = repository.split('/');
  return { owner, name };
}

function useless(fields: string, message: string): BoughError {
  return new BoughError({ code: 'request-malformed', message, hint: `Change ${fields}.` });
}
