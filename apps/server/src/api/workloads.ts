import { Readable } from 'node:stream';
import { BoughError } from '@bough/domain/bough-error';
import { redact, type Secret } from '@bough/domain/secret';
import type { Workload } from '@bough/engine/engine';
import { secretsOfEnvironment } from '@bough/reconcile/secrets-of-environment';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { createEventStream, type StreamLimiter } from '../event-stream.ts';
import type { ServerOptions } from '../options.ts';
import { notFound, Problem } from '../problem.ts';
import { requireEnvironment } from './find.ts';

const WorkloadView = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(['web', 'worker', 'cron', 'service', 'capture', 'rehearsal']),
  state: z.enum(['running', 'restarting', 'stopped']),
  restarts: z.number(),
  lastExitCode: z.number().nullable(),
  startedAt: z.iso.datetime().nullable(),
});

const ByKey = z.object({ environment: z.string().max(200).describe('Slug or id') });

export function workloadRoutes(options: ServerOptions & { streams: StreamLimiter }): FastifyPluginAsyncZod {
  const { pool } = options;

  function requireEngine(): NonNullable<ServerOptions['engine']> {
    if (options.engine) return options.engine;
    throw new BoughError({
      code: 'engine-elsewhere',
      message: 'This server cannot reach the workloads.',
      hint: 'Ask the server on the machine that runs them, or `bough env logs` there.',
    });
  }

  return async (app) => {
    app.route({
      method: 'GET',
      url: '/environments/:environment/workloads',
      schema: {
        tags: ['environments'],
        summary: 'What runs, as the engine sees it',
        params: ByKey,
        response: { 200: z.object({ workloads: z.array(WorkloadView) }), default: Problem },
      },
      handler: async ({ params }) => {
        const { id } = await requireEnvironment(pool, params.environment);
        return { workloads: (await requireEngine().list({ environmentId: id })).map(viewWorkload) };
      },
    });

    app.route({
      method: 'GET',
      url: '/environments/:environment/logs',
      schema: {
        tags: ['logs'],
        summary: "A workload's last lines; with follow=true as server-sent events for as long as it is read",
        params: ByKey,
        querystring: z.object({
          workload: z.string().max(200).optional().describe('Name or id; default: the first web workload'),
          lines: z.coerce.number().int().min(1).max(5_000).default(200),
          follow: z.stringbool().default(false),
        }),
        produces: ['text/plain', 'text/event-stream'],
        response: { 200: z.string(), default: Problem },
      },
      handler: async ({ params, query }, reply) => {
        const engine = requireEngine();
        const environment = await requireEnvironment(pool, params.environment);
        const workloads = await engine.list({ environmentId: environment.id });
        const { id } = choose(workloads, query.workload, environment.slug);
        const { lines, follow } = query;
        const secrets = await secretsOfEnvironment(pool, options.encryption, environment);
        if (follow) {
          const read = (signal: AbortSignal) => redacted(engine.logs(id, { lines, follow, signal }), secrets);
          return createEventStream(reply, options.streams, read);
        }
        const text = Readable.from(newlines(redacted(engine.logs(id, { lines }), secrets)), {
          objectMode: false,
        });
        return reply
          .type('text/plain; charset=utf-8')
          .header('x-content-type-options', 'nosniff')
          .send(text as never);
      },
    });
  };
}

function choose(workloads: readonly Workload[], wanted: string | undefined, slug: string): Workload {
  const found =
    wanted === undefined
      ? (workloads.find(({ labels }) => labels.role === 'web') ?? workloads[0])
      : newest(workloads.filter(({ id, labels }) => id === wanted || labels.name === wanted));
  if (found) return found;
  const names = [...new Set(workloads.map(({ labels }) => labels.name))].join(', ') || 'nothing runs';
  throw notFound(`workload "${wanted ?? 'web'}" in environment ${slug}`, `There are: ${names}.`);
}

/** While a release is swapped, a name has two workloads. */
function newest(workloads: readonly Workload[]): Workload | undefined {
  return workloads.toSorted((a, b) => Number(b.labels.release ?? 0) - Number(a.labels.release ?? 0))[0];
}

function viewWorkload(workload: Workload): z.infer<typeof WorkloadView> {
  const { id, labels, state, restarts, lastExitCode = null, startedAt } = workload;
  const { name, role } = labels;
  return { id, name, role, state, restarts, lastExitCode, startedAt: startedAt?.toISOString() ?? null };
}

/** A workload prints what it likes; what was given to it in secret is not for everybody who may read its log. */
async function* redacted(lines: AsyncIterable<string>, secrets: readonly Secret[]): AsyncGenerator<string> {
  for await (const line of lines) yield redact(line, secrets);
}

async function* newlines(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}
