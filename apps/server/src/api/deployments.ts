import type { Readable } from 'node:stream';
import type { Database } from '@bough/store/database';
import { type Deployment, listDeploymentArtifacts } from '@bough/store/deployments';
import { listSteps, type Step } from '@bough/store/steps';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { createEventStream, type StreamLimiter } from '../event-stream.ts';
import type { ServerOptions } from '../options.ts';
import { notFound, Problem } from '../problem.ts';
import { followStepLog, readStepLog, stepLogFile } from '../step-log.ts';
import { requireDeployment } from './find.ts';
import { DeploymentDetail } from './schemas.ts';
import { viewDeployment, viewStep } from './views.ts';

const ById = z.object({ deployment: z.string().max(20).describe('Id') });
const ByStep = ById.extend({ step: z.string().max(200).describe('Name of the step') });
const PlainText = z.string().describe('text/plain; only the last 5 MiB of a longer log');
const EventStream = z.string().describe('text/event-stream: a message per line, then an event `end`');

export function deploymentRoutes(options: ServerOptions & { streams: StreamLimiter }): FastifyPluginAsyncZod {
  const { pool, logsDir } = options;

  async function requireStep(deploymentId: string, name: string): Promise<Step> {
    const steps = await listSteps(pool, deploymentId);
    const step = steps.find((candidate) => candidate.name === name);
    if (step) return step;
    const names = steps.map((candidate) => candidate.name).join(', ') || 'none yet';
    throw notFound(`step "${name}" in deployment ${deploymentId}`, `Its steps: ${names}.`);
  }

  return async (app) => {
    app.route({
      method: 'GET',
      url: '/deployments/:deployment',
      schema: {
        tags: ['deployments'],
        summary: 'A deployment with its steps',
        params: ById,
        response: { 200: DeploymentDetail, default: Problem },
      },
      handler: async ({ params }) => deploymentDetail(pool, await requireDeployment(pool, params.deployment)),
    });

    app.route({
      method: 'GET',
      url: '/deployments/:deployment/steps/:step/log',
      schema: {
        tags: ['logs'],
        summary: 'What a step printed so far',
        params: ByStep,
        produces: ['text/plain'],
        response: { 200: PlainText, default: Problem },
      },
      handler: async ({ params }, reply) => {
        const deployment = await requireDeployment(pool, params.deployment);
        const step = await requireStep(deployment.id, params.step);
        const log = await readStepLog(stepLogFile(logsDir, step));
        return sendStream(
          reply.type('text/plain; charset=utf-8').header('x-content-type-options', 'nosniff'),
          log,
        );
      },
    });

    app.route({
      method: 'GET',
      url: '/deployments/:deployment/steps/:step/stream',
      schema: {
        tags: ['logs'],
        summary: 'Follow a step to its end',
        params: ByStep,
        produces: ['text/event-stream'],
        response: { 200: EventStream, default: Problem },
      },
      handler: async ({ params }, reply) => {
        const deployment = await requireDeployment(pool, params.deployment);
        const step = await requireStep(deployment.id, params.step);
        const hasEnded = async () => (await requireStep(deployment.id, step.name)).state !== 'running';
        const file = stepLogFile(logsDir, step);
        return createEventStream(reply, options.streams, (signal) =>
          followStepLog(file, { hasEnded, signal }),
        );
      },
    });
  };
}

/** A stream passes by the response's serializer; its schema is only there to be described. */
function sendStream<Reply extends { send(payload: never): Reply }>(reply: Reply, stream: Readable): Reply {
  return reply.send(stream as never);
}

export async function deploymentDetail(db: Database, deployment: Deployment): Promise<DeploymentDetail> {
  const [steps, artifacts] = [
    await listSteps(db, deployment.id),
    await listDeploymentArtifacts(db, deployment.id),
  ];
  return { ...viewDeployment(deployment), steps: steps.map(viewStep), artifacts };
}
