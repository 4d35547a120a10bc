import { openHome } from '@bough/boot/home';
import { createLogger } from '@bough/boot/logger';
import { createMetrics } from '@bough/boot/metrics';
import { serveMetrics } from '@bough/boot/serve-metrics';
import { createShutdown } from '@bough/boot/signals';
import { createQueues } from '@bough/queue/queue';
import { attestAnew } from '@bough/reconcile/data/attest-anew';
import { createPool, transaction } from '@bough/store/database';
import { readConfig } from './config.ts';
import { consumeAll } from './consume.ts';
import { followWakes } from './follow-wakes.ts';
import { makeContext } from './make-context.ts';

/** Handlers that do not end in this time are aborted; what they did not finish is taken up again at the next start. */
const DRAIN_MS = 5_000;
/** Feedback (16), captures (2), wakes (4) and each reconcile may hold a connection for its lock while the work needs another. */
const CONNECTIONS_BESIDE_RECONCILES = 36;

const log = createLogger({ name: 'worker', level: process.env.BOUGH_LOG_LEVEL });
const shutdown = createShutdown({ log });
shutdown.listen();
try {
  const config = readConfig(process.env);
  const home = await openHome({ path: config.home, masterKey: config.masterKey });
  const pool = createPool({
    url: config.databaseUrl,
    max: config.reconciles + CONNECTIONS_BESIDE_RECONCILES,
    applicationName: 'bough worker',
  });
  shutdown.onShutdown('store', () => pool.end());
  const queues = await createQueues({
    connection:
      config.redisUrl === undefined
        ? { kind: 'postgres', url: config.databaseUrl }
        : { kind: 'redis', url: config.redisUrl },
    prefix: home.installationId,
    log,
  });
  shutdown.onShutdown('queues', () => queues.close());
  const context = await makeContext(config, { home, pool, queues, log });
  // Before the first clone: only what the key of today signed is cloned.
  const attested = await transaction(pool, (db) => attestAnew(db, home.attestationKeys, home.signingKey));
  if (attested.signed > 0) log.info({ goldens: attested.signed }, 'goldens are signed with the current key');
  if (attested.refused.length > 0)
    log.warn({ goldens: attested.refused }, 'goldens that no key of ours signed will not be cloned');
  shutdown.onShutdown('copies made ahead', () => context.storage.warm?.close());
  const metrics = createMetrics('worker');
  if (config.metricsPort !== undefined) {
    const serving = await serveMetrics(metrics, config.metricsPort);
    shutdown.onShutdown('metrics', serving.stop);
  }
  const { consumers, stop } = consumeAll(context, config, queues, metrics);
  const wakes = followWakes(context);
  shutdown.onShutdown('wakes', wakes.stop);
  shutdown.onShutdown('consumers', async () => {
    stop();
    await Promise.all(consumers.map((consumer) => consumer.close({ timeoutMs: DRAIN_MS })));
  });
  log.info(
    { storage: context.storage.kind, engine: context.engine.kind, isolation: context.isolation },
    'worker is ready',
  );
  process.send?.('ready');
} catch (error) {
  log.fatal({ err: error }, 'worker cannot start');
  await shutdown.shutDown('start failed');
  process.exit(1);
}
