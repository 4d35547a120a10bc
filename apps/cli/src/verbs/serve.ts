import { createLogger } from '@bough/boot/logger';
import { createShutdown } from '@bough/boot/signals';
import type { Command } from 'commander';
import { readServeConfig } from '../serve/config.ts';
import { serve } from '../serve/serve.ts';
import type { VerbContext } from '../verb.ts';

export function serveVerb(program: Command, context: VerbContext): void {
  program
    .command('serve')
    .description(
      'run Bough: its databases (unless DATABASE_URL and REDIS_URL name others), server, worker and gateway',
    )
    .action(async () => {
      const config = readServeConfig(context.config.environment);
      const log = createLogger({ name: 'serve', level: config.logLevel });
      const shutdown = createShutdown({ log });
      shutdown.listen();
      try {
        const serving = await serve(config, shutdown, log);
        log.info(
          {
            server: serving.publicUrl,
            previews: serving.previewUrl,
            home: serving.home.path,
            queue: serving.queueStore,
          },
          'bough is ready',
        );
      } catch (error) {
        await shutdown.shutDown('start failed');
        throw error;
      }
    });
}
