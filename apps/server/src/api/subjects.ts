import { parseSubject } from '@bough/domain/subject';
import { findLivingEnvironment } from '@bough/store/environments';
import { appendEvent } from '@bough/store/events';
import { insertRequest } from '@bough/store/requests';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { Problem } from '../problem.ts';
import { checkArgument, checkOpen, checkSubject } from './check-argument.ts';
import { requireProject } from './find.ts';
import { look } from './look.ts';
import { ActionAnswer, ActionBody, ProjectByKey, Why } from './schemas.ts';
import { explain } from './why.ts';

const SubjectText = z
  .string()
  .max(300)
  .refine((text) => parseSubject(text) !== undefined, 'must be production, pull/<number> or branch/<name>');

/** What can be asked about a subject that may have no environment yet. */
export function subjectRoutes(options: ServerOptions): FastifyPluginAsyncZod {
  const { pool } = options;
  return async (app) => {
    app.route({
      method: 'POST',
      url: '/projects/:project/actions',
      schema: {
        tags: ['projects'],
        summary: 'Ask for something for a subject that may have no environment yet',
        params: ProjectByKey,
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
        params: ProjectByKey,
        querystring: z.object({ subject: SubjectText }),
        response: { 200: Why, default: Problem },
      },
      handler: async ({ params, query }) =>
        explain(pool, await requireProject(pool, params.project), query.subject),
    });
  };
}
