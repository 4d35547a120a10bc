import { homedir } from 'node:os';
import { join } from 'node:path';
import { httpUrl } from '@bough/boot/http-url';
import { postgresUrl } from '@bough/boot/postgres-url';
import { readConfiguration } from '@bough/boot/read-configuration';
import { Secret } from '@bough/domain/secret';
import { GitHubConfig, type GitHubSettings } from '@bough/forge/github/config';
import { z } from 'zod';

const Environment = z.object({
  BOUGH_HOME: z.string().min(1).default(join(homedir(), '.bough')),
  DATABASE_URL: postgresUrl,
  /** Without it the queues live in Postgres. */
  REDIS_URL: z.string().min(1).optional(),
  BOUGH_HOST: z.string().min(1).default('0.0.0.0'),
  BOUGH_PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  BOUGH_PREVIEW_URL: z.string().default('http://*.localhost:8080'),
  BOUGH_PUBLIC_URL: httpUrl.default('http://localhost:3000'),
  BOUGH_ADMIN_TOKEN: z.string().min(16).optional(),
  BOUGH_MASTER_KEY: z.string().min(1).optional(),
  BOUGH_ALLOWED_OWNERS: z.string().default(''),
});

export interface ServerConfig {
  readonly home: string;
  readonly databaseUrl: string;
  readonly redisUrl: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly previewUrl: string;
  readonly publicUrl: string;
  readonly adminToken: Secret | undefined;
  readonly masterKey: Secret | undefined;
  /** Lower case. */
  readonly allowedOwners: ReadonlySet<string>;
  readonly github: GitHubSettings | null;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function readConfig(environment: Readonly<Record<string, string | undefined>>): ServerConfig {
  const { own: given, github } = readConfiguration('server', environment, {
    own: Environment,
    github: GitHubConfig,
  });
  return {
    home: given.BOUGH_HOME,
    databaseUrl: given.DATABASE_URL,
    redisUrl: given.REDIS_URL,
    host: given.BOUGH_HOST,
    port: given.BOUGH_PORT,
    previewUrl: given.BOUGH_PREVIEW_URL,
    publicUrl: given.BOUGH_PUBLIC_URL,
    adminToken: given.BOUGH_ADMIN_TOKEN === undefined ? undefined : new Secret(given.BOUGH_ADMIN_TOKEN),
    masterKey: given.BOUGH_MASTER_KEY === undefined ? undefined : new Secret(given.BOUGH_MASTER_KEY),
    allowedOwners: new Set(
      given.BOUGH_ALLOWED_OWNERS.split(',').flatMap((owner) => owner.trim().toLowerCase() || []),
    ),
    github,
    environment,
  };
}
