import { homedir } from 'node:os';
import { join } from 'node:path';
import { httpUrl } from '@bough/boot/http-url';
import { postgresUrl } from '@bough/boot/postgres-url';
import { readConfiguration } from '@bough/boot/read-configuration';
import { Secret } from '@bough/domain/secret';
import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65_535);

const Environment = z.object({
  BOUGH_HOME: z.string().min(1).default(join(homedir(), '.bough')),
  DATABASE_URL: postgresUrl.optional(),
  REDIS_URL: z.string().min(1).optional(),
  BOUGH_PORT: port.default(3000),
  BOUGH_GATEWAY_PORT: port.default(8080),
  BOUGH_PREVIEW_URL: z.string().optional(),
  BOUGH_PUBLIC_URL: httpUrl.optional(),
  BOUGH_ADMIN_TOKEN: z.string().min(16).optional(),
  BOUGH_MASTER_KEY: z.string().min(1).optional(),
  /** Where server, worker and gateway write instead of standard output. */
  BOUGH_LOG_FILE: z.string().min(1).optional(),
  BOUGH_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
});

export interface ServeConfig {
  readonly home: string;
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly port: number;
  readonly gatewayPort: number;
  readonly previewUrl: string | undefined;
  readonly publicUrl: string | undefined;
  readonly adminToken: Secret | undefined;
  readonly masterKey: Secret | undefined;
  readonly logLevel: string;
  readonly logFile: string | undefined;
  /** Handed on to server, worker and gateway, which read their own part of it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function readServeConfig(environment: Readonly<Record<string, string | undefined>>): ServeConfig {
  const { own: given } = readConfiguration('serve command', environment, { own: Environment });
  return {
    home: given.BOUGH_HOME,
    databaseUrl: given.DATABASE_URL,
    redisUrl: given.REDIS_URL,
    port: given.BOUGH_PORT,
    gatewayPort: given.BOUGH_GATEWAY_PORT,
    previewUrl: given.BOUGH_PREVIEW_URL,
    publicUrl: given.BOUGH_PUBLIC_URL,
    adminToken: given.BOUGH_ADMIN_TOKEN === undefined ? undefined : new Secret(given.BOUGH_ADMIN_TOKEN),
    masterKey: given.BOUGH_MASTER_KEY === undefined ? undefined : new Secret(given.BOUGH_MASTER_KEY),
    logLevel: given.BOUGH_LOG_LEVEL,
    logFile: given.BOUGH_LOG_FILE,
    environment,
  };
}
