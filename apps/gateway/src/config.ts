import { homedir } from 'node:os';
import { join } from 'node:path';
import { httpUrl } from '@bough/boot/http-url';
import { postgresUrl } from '@bough/boot/postgres-url';
import { readConfiguration } from '@bough/boot/read-configuration';
import { Secret } from '@bough/domain/secret';
import { z } from 'zod';

const Environment = z.object({
  BOUGH_HOME: z.string().min(1).default(join(homedir(), '.bough')),
  DATABASE_URL: postgresUrl,
  BOUGH_GATEWAY_HOST: z.string().min(1).default('0.0.0.0'),
  BOUGH_GATEWAY_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  BOUGH_PREVIEW_URL: z.string().default('http://*.localhost:8080'),
  BOUGH_PUBLIC_URL: httpUrl.default('http://localhost:3000'),
  BOUGH_TRUSTED_PROXIES: z.string().default('loopback'),
  /** Loopback; nothing is served without it. */
  BOUGH_GATEWAY_METRICS_PORT: z.coerce.number().int().min(1).max(65_535).optional(),
  /** How often visits are told to the database. */
  BOUGH_VISITS_SECONDS: z.coerce.number().min(0.1).max(3_600).default(10),
  BOUGH_MASTER_KEY: z.string().min(1).optional(),
});

export interface GatewayConfig {
  readonly home: string;
  readonly databaseUrl: string;
  readonly host: string;
  readonly port: number;
  readonly previewUrl: string;
  readonly publicUrl: string;
  readonly trustedProxies: readonly string[];
  readonly metricsPort: number | undefined;
  readonly visitsMs: number;
  readonly masterKey: Secret | undefined;
}

export function readConfig(environment: Readonly<Record<string, string | undefined>>): GatewayConfig {
  const { own: given } = readConfiguration('gateway', environment, { own: Environment });
  return {
    home: given.BOUGH_HOME,
    databaseUrl: given.DATABASE_URL,
    host: given.BOUGH_GATEWAY_HOST,
    port: given.BOUGH_GATEWAY_PORT,
    previewUrl: given.BOUGH_PREVIEW_URL,
    publicUrl: given.BOUGH_PUBLIC_URL,
    trustedProxies: given.BOUGH_TRUSTED_PROXIES.split(',').flatMap((word) => word.trim() || []),
    metricsPort: given.BOUGH_GATEWAY_METRICS_PORT,
    visitsMs: given.BOUGH_VISITS_SECONDS * 1_000,
    masterKey: given.BOUGH_MASTER_KEY === undefined ? undefined : new Secret(given.BOUGH_MASTER_KEY),
  };
}
