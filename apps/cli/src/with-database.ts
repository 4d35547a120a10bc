import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import type { BoughHome } from '@bough/boot/home';
import { createLogger } from '@bough/boot/logger';
import { createToolchain } from '@bough/toolchain/toolchain';
import type { VerbContext } from './verb.ts';

/** The operator's database, or the embedded one: as it runs, or started for as long as this takes. */
export async function withDatabase<Result>(
  context: VerbContext,
  home: BoughHome,
  work: (databaseUrl: string) => Promise<Result>,
): Promise<Result> {
  const { environment } = context.config;
  const given = environment.DATABASE_URL;
  if (given !== undefined && given !== '') return await work(given);
  const log = createLogger({ level: 'warn' });
  const postgres = await startEmbeddedPostgres({
    home: home.directories.postgres,
    toolchain: createToolchain({
      home: home.directories.toolchains,
      env: environment,
      log,
      packageDirectories: embeddedPackageDirectories(),
    }),
    log,
  });
  try {
    return await work(postgres.url);
  } finally {
    if (!postgres.wasAdopted) await postgres.stop();
  }
}
