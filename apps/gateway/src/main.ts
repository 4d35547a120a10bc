import { join } from 'node:path';
import { openHome } from '@bough/boot/home';
import { linkKey } from '@bough/boot/link-key';
import { createLogger } from '@bough/boot/logger';
import { createMetrics } from '@bough/boot/metrics';
import { probeToken } from '@bough/boot/probe-token';
import { serveMetrics } from '@bough/boot/serve-metrics';
import { createShutdown } from '@bough/boot/signals';
import { createPool } from '@bough/store/database';
import { readRouteTable } from '@bough/store/routes';
import { askToWake, recordVisits } from '@bough/store/visits';
import { readConfig } from './config.ts';
import { createGateway } from './gateway.ts';
import { defaultLimits } from './limits.ts';
import { prometheusMetrics } from './prometheus-metrics.ts';
import { followRouteTable } from './table-source.ts';
import { createVisits } from './visits.ts';

const log = createLogger({ name: 'gateway', level: process.env.BOUGH_LOG_LEVEL });
const shutdown = createShutdown({ log });
shutdown.listen();
try {
  const config = readConfig(process.env);
  const home = await openHome({ path: config.home, masterKey: config.masterKey });
  const pool = createPool({ url: config.databaseUrl, max: 2, applicationName: 'bough gateway' });
  shutdown.onShutdown('store', () => pool.end());
  const metrics = createMetrics('gateway');
  if (config.metricsPort !== undefined) {
    const serving = await serveMetrics(metrics, config.metricsPort);
    shutdown.onShutdown('metrics', serving.stop);
  }
  const visits = createVisits({
    record: (seen) => recordVisits(pool, seen),
    askToWake: (environmentId) => askToWake(pool, environmentId),
    flushMs: config.visitsMs,
    wakeAgainMs: defaultLimits.wakeAgainMs,
    log,
  });
  shutdown.onShutdown('visits', () => visits.close());
  const gateway = createGateway({
    tableFile: join(home.directories.gateway, 'routes.json'),
    previewUrl: config.previewUrl,
    trustedProxies: config.trustedProxies,
    probeToken: probeToken(home.masterKey),
    linkKey: linkKey(home.masterKey),
    visits,
    metrics: prometheusMetrics(metrics),
    log,
  });
  const stopFollowing = new AbortController();
  const following = followRouteTable({
    url: config.databaseUrl,
    read: () => readRouteTable(pool, config.publicUrl),
    onTable: (table) => gateway.setTable(table),
    log,
    signal: stopFollowing.signal,
  });
  shutdown.onShutdown('table source', async () => {
    stopFollowing.abort();
    await following;
  });
  const { port } = await gateway.listen(config.port, config.host);
  shutdown.onShutdown('gateway', () => gateway.close());
  log.info({ host: config.host, port }, 'gateway is ready');
  process.send?.('ready');
} catch (error) {
  log.fatal({ err: error }, 'gateway cannot start');
  await shutdown.shutDown('start failed');
  process.exit(1);
}
