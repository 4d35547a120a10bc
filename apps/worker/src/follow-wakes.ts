import type { Context } from '@bough/reconcile/context';
import { followChannel } from '@bough/store/follow-channel';
import { listAskedToWake, wakesChannel } from '@bough/store/visits';

const HEARTBEAT_MS = 10_000;

/** The gateway knows no queue: it announces in Postgres who is to wake, and here it becomes a look. */
export function followWakes(context: Context): { stop(): Promise<void> } {
  const controller = new AbortController();
  const enqueue = (environmentId: string) =>
    void context.enqueue('wake', environmentId).catch((error: unknown) => {
      // The gateway asks again every two seconds for as long as somebody waits.
      context.log.warn({ environmentId, error }, 'a wake could not be queued');
    });
  const catchUp = () =>
    void listAskedToWake(context.pool).then(
      (ids) => ids.forEach(enqueue),
      (error: unknown) => context.log.warn({ error }, 'who waits for a wake could not be read'),
    );
  const following = followChannel({
    url: context.databaseUrl,
    channel: wakesChannel,
    applicationName: 'bough worker wakes',
    onListening: catchUp,
    onNews: enqueue,
    heartbeatMs: HEARTBEAT_MS,
    log: context.log,
    signal: controller.signal,
  });
  return {
    async stop() {
      controller.abort();
      await following;
    },
  };
}
