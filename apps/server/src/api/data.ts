import type { PublicKey } from '@bough/domain/attestation-key';
import { listAttestationKeys } from '@bough/store/attestation-keys';
import { askForRefresh, findDataRefresh } from '@bough/store/data-refreshes';
import type { Database } from '@bough/store/database';
import { listKeptSnapshots } from '@bough/store/snapshots';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DataReportView, readDataReport } from '../data-report.ts';
import type { ServerOptions } from '../options.ts';
import { Problem } from '../problem.ts';
import { requireProject } from './find.ts';
import { GoldensView, ProjectByKey } from './schemas.ts';
import { viewGolden, viewRefresh } from './views.ts';
import { failingCapture } from './why.ts';

/** May be left out. */
export const RefreshBody = z
  .object({
    askedBy: z.string().min(1).max(100).optional().describe('Who asks, for the record; default "admin"'),
  })
  .nullish();

const AttestationKeysView = z.object({
  keys: z.array(
    z.object({
      id: z.string().describe('As `keyId` of an attestation names it'),
      publicKey: z.string().describe('PEM, Ed25519'),
      retiredAt: z.iso.datetime().nullable().describe('null: it signs now'),
    }),
  ),
});
export type AttestationKeysView = z.infer<typeof AttestationKeysView>;

/** Golden snapshots of a project: what previews are cloned from, and how the last refresh went. */
export function dataRoutes(options: ServerOptions): FastifyPluginAsyncZod {
  const { pool, attestationKeys } = options;
  return async (app) => {
    app.route({
      method: 'GET',
      url: '/projects/:project/data',
      schema: {
        tags: ['data'],
        summary: 'Golden snapshots, newest first, and the last refresh',
        params: ProjectByKey,
        response: { 200: GoldensView, default: Problem },
      },
      handler: async ({ params }) => {
        const { id } = await requireProject(pool, params.project);
        const kept = await listKeptSnapshots(pool, id);
        const refresh = await findDataRefresh(pool, id);
        return {
          goldens: kept.filter(({ state }) => state === 'frozen').map(viewGolden),
          refresh: refresh === undefined ? null : viewRefresh(refresh),
          failure: await failingCapture(pool, id),
        };
      },
    });

    app.route({
      method: 'GET',
      url: '/projects/:project/data/report',
      schema: {
        tags: ['data'],
        summary: 'What a golden snapshot is and how it was proved, signed; also of one whose data is gone',
        params: ProjectByKey,
        querystring: z.object({
          golden: z
            .string()
            .regex(/^\d{1,18}$/)
            .optional()
            .describe('Id; left out: the newest'),
        }),
        response: { 200: DataReportView, default: Problem },
      },
      handler: async ({ params, query }) => {
        const { id: projectId } = await requireProject(pool, params.project);
        return await readDataReport(pool, attestationKeys, { projectId, goldenId: query.golden });
      },
    });

    app.route({
      method: 'GET',
      url: '/attestation-keys',
      schema: {
        tags: ['data'],
        summary: 'Public keys that reports of golden snapshots are verified with, the current one first',
        response: { 200: AttestationKeysView, default: Problem },
      },
      handler: async () => ({ keys: await viewKeys(pool, attestationKeys) }),
    });

    app.route({
      method: 'POST',
      url: '/projects/:project/data/refresh',
      schema: {
        tags: ['data'],
        summary: 'Make a new golden snapshot; previews that start or sync afterwards get it',
        params: ProjectByKey,
        body: RefreshBody,
        response: { 202: z.object({ queued: z.boolean() }), default: Problem },
      },
      handler: async ({ params, body }, reply) => {
        const { id } = await requireProject(pool, params.project);
        await askForRefresh(pool, { projectId: id, askedBy: body?.askedBy ?? 'admin' });
        return reply.status(202).send({ queued: await queueRefresh(options, id) });
      },
    });
  };
}

/** Former ones are told by the database: they verify reports that somebody kept, and let nothing be cloned. */
async function viewKeys(db: Database, ours: readonly PublicKey[]): Promise<AttestationKeysView['keys']> {
  const current = ours.slice(0, 1).map(({ id, pem }) => ({ id, publicKey: pem, retiredAt: null }));
  const known = (await listAttestationKeys(db)).filter(({ id }) => id !== current[0]?.id);
  return [
    ...current,
    ...known.map(({ id, publicKey, retiredAt }) => ({
      ...{ id, publicKey, retiredAt: (retiredAt ?? new Date()).toISOString() },
    })),
  ];
}

/** False when the queue is down: what was asked is stored, and resync looks later. */
export async function queueRefresh(
  { queues, log }: Pick<ServerOptions, 'queues' | 'log'>,
  projectId: string,
): Promise<boolean> {
  try {
    await queues.enqueue('data', projectId);
    return true;
  } catch (error) {
    log.warn({ err: error, projectId }, 'look at the data not queued');
    return false;
  }
}
