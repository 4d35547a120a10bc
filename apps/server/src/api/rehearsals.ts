import { RehearsalReport, rehearsalVerdicts } from '@bough/domain/rehearsal';
import { findRehearsal, type Rehearsal } from '@bough/store/rehearsals';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerOptions } from '../options.ts';
import { notFound, Problem } from '../problem.ts';
import { readStepLog, stepLogFile } from '../step-log.ts';
import { requireDeployment } from './find.ts';

export const RehearsalView = z.object({
  id: z.string(),
  deploymentId: z.string(),
  state: z.enum(['queued', 'running', 'done', 'aborted']),
  verdict: z.enum(rehearsalVerdicts).nullable().describe('null: not done; "not measured" is not a pass'),
  reusedId: z.string().nullable().describe('The rehearsal whose result this is'),
  snapshotId: z.string().nullable(),
  queuedAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
  report: RehearsalReport.nullable().describe('null: not done, or written by another version of Bough'),
});
export type RehearsalView = z.infer<typeof RehearsalView>;

const ById = z.object({ deployment: z.string().max(20).describe('Id') });

export function rehearsalRoutes({ pool, logsDir }: ServerOptions): FastifyPluginAsyncZod {
  async function require(deploymentId: string): Promise<Rehearsal> {
    const { id } = await requireDeployment(pool, deploymentId);
    const found = await findRehearsal(pool, id);
    if (found !== undefined) return found;
    throw notFound(
      `rehearsal of deployment ${id}`,
      'Previews whose project has a `data:` policy and a deploy hook get one when they are ready.',
    );
  }

  return async (app) => {
    app.route({
      method: 'GET',
      url: '/deployments/:deployment/rehearsal',
      schema: {
        tags: ['deployments'],
        summary: "What a deployment's migrations did to a clone of production's data",
        params: ById,
        response: { 200: RehearsalView, default: Problem },
      },
      handler: async ({ params }) => viewRehearsal(await require(params.deployment)),
    });

    app.route({
      method: 'GET',
      url: '/deployments/:deployment/rehearsal/log',
      schema: {
        tags: ['logs'],
        summary: 'What the rehearsed hook printed so far',
        params: ById,
        produces: ['text/plain'],
        response: {
          200: z.string().describe('text/plain; only the last 5 MiB of a longer log'),
          default: Problem,
        },
      },
      handler: async ({ params }, reply) => {
        const { deploymentId } = await require(params.deployment);
        const log = await readStepLog(stepLogFile(logsDir, { deploymentId, name: 'rehearsal' }));
        return reply
          .type('text/plain; charset=utf-8')
          .header('x-content-type-options', 'nosniff')
          .send(log as never);
      },
    });
  };
}

export function viewRehearsal(row: Rehearsal): RehearsalView {
  const { id, deploymentId, state, verdict, reusedId, snapshotId } = row;
  const report = RehearsalReport.safeParse(row.report);
  return {
    ...{ id, deploymentId, state, verdict, reusedId, snapshotId },
    queuedAt: row.queuedAt.toISOString(),
    startedAt: row.startedAt?.toISOString() ?? null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
    report: report.success ? report.data : null,
  };
}
