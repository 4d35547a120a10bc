import { homedir } from 'node:os';
import { join } from 'node:path';
import { httpUrl } from '@bough/boot/http-url';
import { postgresUrl } from '@bough/boot/postgres-url';
import { readConfiguration } from '@bough/boot/read-configuration';
import { z } from 'zod';

/** What the verbs read of the environment; `bough serve` reads more (serve/config.ts). */
const Environment = z.object({
  BOUGH_HOME: z.string().min(1).default(join(homedir(), '.bough')),
  BOUGH_URL: httpUrl.optional(),
  DATABASE_URL: postgresUrl.optional(),
  BOUGH_ADMIN_TOKEN: z.string().min(1).optional(),
  USER: z.string().optional(),
});

export interface CliConfig {
  readonly home: string;
  readonly url: string | undefined;
  readonly token: string | undefined;
  /** Who asks, for the record. */
  readonly user: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function readCliConfig(environment: Readonly<Record<string, string | undefined>>): CliConfig {
  const { own: given } = readConfiguration('bough command', environment, { own: Environment });
  return {
    home: given.BOUGH_HOME,
    url: given.BOUGH_URL,
    token: given.BOUGH_ADMIN_TOKEN,
    user: given.USER ?? 'admin',
    environment,
  };
}
