import { BoughError } from '@bough/domain/bough-error';
import type { Environment } from '@bough/domain/environment';
import { phase } from '@bough/domain/environment';
import { ACCESS_CREDENTIAL } from '@bough/domain/preview-access';
import { findCredential } from '@bough/store/credentials';
import { askForRefresh } from '@bough/store/data-refreshes';
import { listDeployments } from '@bough/store/deployments';
import { findLivingEnvironment, listEnvironments } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { findProject } from '@bough/store/projects';
import { insertRequest } from '@bough/store/requests';
import { type EnvironmentRoute, listRoutes } from '@bough/store/routes';
import { findSnapshot, newestFrozenSnapshot } from '@bough/store/snapshots';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { notFound, Problem } from '../problem.ts';
import { checkArgument, checkOpen, checkSubject } from './check-argument.ts';
import { queueRefresh, RefreshBody } from './data.ts';
import { deploymentDetail } from './deployments.ts';
import { requireEnvironment, requireProject } from './find.ts';
import { look, wakeSoon } from './look.ts';
import {
  ActionAnswer,
  ActionBody,
  DeploymentView,
  EnvironmentDetail,
  EnvironmentView,
  Why,
} from './schemas.ts';
import { viewDeployment, viewEnvironment, viewRoute } from './views.ts';
import { explain } from './why.ts';

const ByKey = z.object({ environment: z.string().max(200).describe('Slug or id') });
const phases = EnvironmentView.shape.phase;

export function environmentRoutes(options: ServerOptions): FastifyPluginAsyncZod {
  const { pool } = options;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/environments',
      schema: {
        tags: ['environments'],
        summary: 'Living environments, and those removed within a day when asked',
        querystring: z.object({
          project: z.string().max(200).optional().describe('Slug or id'),
          phase: phases.optional(),
          removed: z.stringbool().default(false),
        }),
        response: { 200: z.object({ environments: z.array(EnvironmentView) }), default: Problem },
      },
      handler: async ({ query }) => {
        const project = query.project === undefined ? undefined : await requireProject(pool, query.project);
        const listed = await listEnvironments(pool, {
          includeRemoved: query.removed,
          ...(project === undefined ? {} : { projectId: project.id }),
        });
        const wanted = listed.filter((row) => query.phase === undefined || phase(row) === query.phase);
        return { environments: wanted.map(viewEnvironment) };
      },
    });

    app.route({
      method: 'GET',
      url: '/environments/:environment',
      schema: {
        tags: ['environments'],
        summary: 'One environment with its routes, the way in, and its newest deployment',
        params: ByKey,
        response: { 200: EnvironmentDetail, default: Problem },
      },
      handler: async ({ params }) =>
        environmentDetail(options, await requireEnvironment(pool, params.environment)),
    });

    app.route({
      method: 'GET',
      url: '/environments/:environment/deployments',
      schema: {
        tags: ['deployments'],
        summary: 'Newest first',
        params: ByKey,
        querystring: z.object({ limit: z.coerce.number().int().min(1).max(200).default(20) }),
        response: { 200: z.object({ deployments: z.array(DeploymentView) }), default: Problem },
      },
      handler: async ({ params, query }) => {
        const { id } = await requireEnvironment(pool, params.environment);
        return { deployments: (await listDeployments(pool, id, query.limit)).map(viewDeployment) };
      },
    });

    app.route({
      method: 'POST',
      url: '/environments/:environment/actions',
      schema: {
        tags: ['environments'],
        summary: 'Ask for something: it is recorded, and done by whoever looks next',
        params: ByKey,
        body: ActionBody,
        response: { 202: ActionAnswer, default: Problem },
      },
      handler: async ({ params, body }, reply) => {
        const environment = await requireEnvironment(pool, params.environment);
        const { id: environmentId, projectId, subject } = environment;
        const { kind, argument = null, askedBy = 'admin' } = body;
        checkArgument(kind, argument);
        checkSubject(kind, subject);
        checkOpen(kind, await findLivingEnvironment(pool, { projectId, subject }));
        const { id } = await insertRequest(pool, { projectId, subject, kind, argument, askedBy });
        await appendEvent(pool, {
          ...{ projectId, environmentId, actor: askedBy, kind: `asked.${kind}` },
          detail: { subject, argument },
        });
        // Whoever wakes it waits for it: the forge need not be asked first.
        if (kind === 'wake') await wakeSoon(options, environmentId);
        return reply.status(202).send({ requestId: id, queued: await look(options, projectId, subject) });
      },
    });

    app.route({
      method: 'POST',
      url: '/environments/:environment/data/refresh',
      schema: {
        tags: ['environments'],
        summary: 'Make a new golden snapshot of this environment; previews that start afterwards get it',
        params: ByKey,
        body: RefreshBody,
        response: { 202: z.object({ queued: z.boolean() }), default: Problem },
      },
      handler: async ({ params, body }, reply) => {
        const { projectId, kind, slug } = await requireEnvironment(pool, params.environment);
        if (kind !== 'production') {
          throw new BoughError({
            code: 'not-a-parent',
            message: `${slug} is a preview; golden snapshots are made of production.`,
            hint: 'Name the project’s production environment.',
          });
        }
        await askForRefresh(pool, { projectId, askedBy: body?.askedBy ?? 'admin' });
        return reply.status(202).send({ queued: await queueRefresh(options, projectId) });
      },
    });

    app.route({
      method: 'GET',
      url: '/environments/:environment/why',
      schema: {
        tags: ['environments'],
        summary: 'Why it is as it is',
        params: ByKey,
        response: { 200: Why, default: Problem },
      },
      handler: async ({ params }) => {
        const { projectId, subject } = await requireEnvironment(pool, params.environment);
        const project = await findProject(pool, projectId);
        if (!project) throw notFound(`project ${projectId}`, 'It was deleted from the database by hand.');
        return explain(pool, project, subject);
      },
    });
  };
}

async function environmentDetail(
  options: Pick<ServerOptions, 'pool' | 'encryption' | 'previewUrl'>,
  environment: Environment,
): Promise<EnvironmentDetail> {
  const routes = await listRoutes(options.pool, environment.id);
  const [newest] = await listDeployments(options.pool, environment.id, 1);
  return {
    ...viewEnvironment(environment),
    golden: await goldenOf(options, environment),
    routes: routes.map((route) => viewRoute(route, options.previewUrl)),
    access: await wayIn(options, environment.id, routes),
    deployment: newest ? await deploymentDetail(options.pool, newest) : null,
    releaseDeploymentId: environment.releaseDeploymentId,
  };
}

async function goldenOf(
  { pool }: Pick<ServerOptions, 'pool'>,
  { dataSnapshotId, projectId }: Environment,
): Promise<EnvironmentDetail['golden']> {
  const snapshot = dataSnapshotId === null ? undefined : await findSnapshot(pool, dataSnapshotId);
  if (snapshot === undefined) return null;
  const newest = await newestFrozenSnapshot(pool, projectId);
  return {
    id: snapshot.id,
    capturedAt: snapshot.capturedAt?.toISOString() ?? null,
    sanitized: snapshot.sanitize !== 'none',
    newestAt: newest?.capturedAt?.toISOString() ?? null,
  };
}

async function wayIn(
  { pool, encryption }: Pick<ServerOptions, 'pool' | 'encryption'>,
  environmentId: string,
  routes: readonly EnvironmentRoute[],
): Promise<EnvironmentDetail['access']> {
  const closed = routes.find(({ access }) => access.kind === 'basic')?.access;
  if (closed?.kind !== 'basic') return null;
  const password = await findCredential(pool, encryption, { environmentId, name: ACCESS_CREDENTIAL });
  return password === undefined ? null : { username: closed.username, password: password.reveal() };
}
