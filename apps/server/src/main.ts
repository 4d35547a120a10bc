import { openHome } from '@bough/boot/home';
import { linkKey } from '@bough/boot/link-key';
import { createLogger } from '@bough/boot/logger';
import { createMetrics } from '@bough/boot/metrics';
import { createShutdown } from '@bough/boot/signals';
import { VERSION } from '@bough/domain/version';
import { createQueues } from '@bough/queue/queue';
import { createPool } from '@bough/store/database';
import { createEncryption } from '@bough/store/encryption';
import { readConfig } from './config.ts';
import { connectRepositories } from './connect-repositories.ts';
import { readOnlyEngine } from './read-only-engine.ts';
import { buildServer, listen } from './server.ts';

const log = createLogger({ name: 'server', level: process.env.BOUGH_LOG_LEVEL });
const shutdown = createShutdown({ log });
shutdown.listen();
try {
  const config = readConfig(process.env);
  const { adminToken, masterKey } = config;
  const home = await openHome({ path: config.home, adminToken, masterKey });
  const pool = createPool({ url: config.databaseUrl, max: 20, applicationName: 'bough server' });
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
  const { forges, projects } = connectRepositories({ config, home, pool, queues, log });
  const server = await buildServer({
    installationId: home.installationId,
    version: VERSION,
    pool,
    queues,
    encryption: createEncryption({ current: home.masterKey, former: home.formerMasterKeys }),
    forges,
    adminToken: home.adminToken,
    attestationKeys: [home.attestationKeys.current.public, ...home.attestationKeys.former],
    publicUrl: config.publicUrl,
    linkKey: linkKey(home.masterKey),
    previewUrl: config.previewUrl,
    metrics: createMetrics('server'),
    logsDir: home.directories.logs,
    log,
    engine: await readOnlyEngine(config, home, log),
    projects,
    isAllowedOwner: (owner) => config.allowedOwners.has(owner.toLowerCase()),
  });
  await listen(server, { port: config.port, host: config.host });
  shutdown.onShutdown('server', () => server.close());
  log.info({ port: config.port }, 'server is ready');
  process.send?.('ready');
} catch (error) {
  log.fatal({ err: error }, 'server cannot start');
  await shutdown.shutDown('start failed');
  process.exit(1);
}
