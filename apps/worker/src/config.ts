import { homedir } from 'node:os';
import { join } from 'node:path';
import { httpUrl } from '@bough/boot/http-url';
import { postgresUrl } from '@bough/boot/postgres-url';
import { readConfiguration } from '@bough/boot/read-configuration';
import { Secret } from '@bough/domain/secret';
import { GitHubConfig, type GitHubSettings } from '@bough/forge/github/config';
import type { Budgets } from '@bough/reconcile/budgets/shelves';
import { z } from 'zod';

const MIB = 1024 ** 2;
const budget = (mebibytes: number) => z.coerce.number().int().min(1).max(104_857_600).default(mebibytes);

const Environment = z.object({
  BOUGH_HOME: z.string().min(1).default(join(homedir(), '.bough')),
  DATABASE_URL: postgresUrl,
  /** Without it the queues live in Postgres. */
  REDIS_URL: z.string().min(1).optional(),
  BOUGH_STORAGE: z.enum(['auto', 'btrfs', 'reflink', 'copy']).default('auto'),
  /** Copies of each golden that wait to be taken; without it what the storage thinks right. */
  BOUGH_WARM_COPIES: z.coerce.number().int().min(0).max(16).optional(),
  BOUGH_ENGINE: z.enum(['process']).default('process'),
  BOUGH_PREVIEW_URL: z.string().default('http://*.localhost:8080'),
  BOUGH_PUBLIC_URL: httpUrl.default('http://localhost:3000'),
  BOUGH_GATEWAY_DIAL_HOST: z.string().default('127.0.0.1'),
  BOUGH_GATEWAY_PORT: z.coerce.number().int().min(1).max(65_535).default(8080),
  /** Loopback; nothing is served without it. */
  BOUGH_WORKER_METRICS_PORT: z.coerce.number().int().min(1).max(65_535).optional(),
  BOUGH_MASTER_KEY: z.string().min(1).optional(),
  BOUGH_BUILDS: z.coerce.number().int().min(1).max(64).default(2),
  BOUGH_RECONCILES: z.coerce.number().int().min(1).max(256).default(16),
  /** Previews that run at once; absent: as many as memory allows. */
  BOUGH_MAX_AWAKE: z.coerce.number().int().min(1).max(10_000).optional(),
  /** Kept free for what runs; 0 turns the check off. Absent: a twentieth, at most 1 GiB. */
  BOUGH_MEMORY_RESERVE_MIB: z.coerce.number().int().min(0).max(1_048_576).optional(),
  BOUGH_DISK_RESERVE_MIB: z.coerce.number().int().min(0).max(104_857_600).optional(),
  /** Expected of a preview that was just admitted. */
  BOUGH_PREVIEW_MEMORY_MIB: z.coerce.number().int().min(1).max(1_048_576).default(128),
  /** Nobody is put to sleep for others within this time after a visit or a deployment. */
  BOUGH_MIN_AWAKE_SECONDS: z.coerce.number().min(0).max(86_400).default(60),
  /** Budgets of what may be needed again; docs/operations.md, "What may grow". */
  BOUGH_ARTIFACT_BUDGET_MIB: budget(20_480),
  BOUGH_CACHE_BUDGET_MIB: budget(10_240),
  BOUGH_MIRROR_BUDGET_MIB: budget(10_240),
  BOUGH_LOG_BUDGET_MIB: budget(2_048),
  BOUGH_SNAPSHOT_BUDGET_MIB: budget(102_400),
  BOUGH_RESYNC_SECONDS: z.coerce.number().int().min(1).max(86_400).default(60),
  BOUGH_BUILD_NPMRC: z.string().min(1).optional(),
  BOUGH_LISTEN_TIMEOUT_SECONDS: z.coerce.number().int().min(1).max(3_600).default(60),
  /** For tests of crashes (fault-point.ts). */
  BOUGH_FAULT_DIRECTORY: z.string().min(1).optional(),
  BOUGH_BUILD_TIMEOUT_SECONDS: z.coerce.number().int().min(1).max(86_400).default(1_800),
});

export interface WorkerConfig {
  readonly home: string;
  readonly databaseUrl: string;
  readonly redisUrl: string | undefined;
  readonly storage: 'auto' | 'btrfs' | 'reflink' | 'copy';
  readonly warmCopies: number | undefined;
  readonly previewUrl: string;
  readonly publicUrl: string;
  readonly gateway: { readonly host: string; readonly port: number };
  readonly metricsPort: number | undefined;
  readonly masterKey: Secret | undefined;
  readonly builds: number;
  readonly reconciles: number;
  readonly resyncMs: number;
  readonly maxAwake: number | null;
  /** Null: by the size of the machine. */
  readonly memoryReserveBytes: number | null;
  readonly diskReserveBytes: number | null;
  readonly memoryPerPreviewBytes: number;
  readonly minAwakeMs: number;
  readonly budgets: Budgets;
  readonly buildNpmrc: string | undefined;
  readonly listenTimeoutMs: number;
  readonly buildTimeoutMs: number;
  readonly faultDirectory: string | undefined;
  readonly github: GitHubSettings | null;
  /** Handed to what must find tools and proxies: toolchain and the builds' surroundings. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function readConfig(environment: Readonly<Record<string, string | undefined>>): WorkerConfig {
  const { own: given, github } = readConfiguration('worker', environment, {
    own: Environment,
    github: GitHubConfig,
  });
  return {
    home: given.BOUGH_HOME,
    databaseUrl: given.DATABASE_URL,
    redisUrl: given.REDIS_URL,
    storage: given.BOUGH_STORAGE,
    warmCopies: given.BOUGH_WARM_COPIES,
    previewUrl: given.BOUGH_PREVIEW_URL,
    publicUrl: given.BOUGH_PUBLIC_URL,
    gateway: { host: given.BOUGH_GATEWAY_DIAL_HOST, port: given.BOUGH_GATEWAY_PORT },
    metricsPort: given.BOUGH_WORKER_METRICS_PORT,
    masterKey: given.BOUGH_MASTER_KEY === undefined ? undefined : new Secret(given.BOUGH_MASTER_KEY),
    builds: given.BOUGH_BUILDS,
    reconciles: given.BOUGH_RECONCILES,
    resyncMs: given.BOUGH_RESYNC_SECONDS * 1_000,
    maxAwake: given.BOUGH_MAX_AWAKE ?? null,
    memoryReserveBytes: mebibytes(given.BOUGH_MEMORY_RESERVE_MIB),
    diskReserveBytes: mebibytes(given.BOUGH_DISK_RESERVE_MIB),
    memoryPerPreviewBytes: given.BOUGH_PREVIEW_MEMORY_MIB * 1024 ** 2,
    minAwakeMs: given.BOUGH_MIN_AWAKE_SECONDS * 1_000,
    budgets: {
      artifacts: given.BOUGH_ARTIFACT_BUDGET_MIB * MIB,
      caches: given.BOUGH_CACHE_BUDGET_MIB * MIB,
      mirrors: given.BOUGH_MIRROR_BUDGET_MIB * MIB,
      logs: given.BOUGH_LOG_BUDGET_MIB * MIB,
      snapshots: given.BOUGH_SNAPSHOT_BUDGET_MIB * MIB,
    },
    buildNpmrc: given.BOUGH_BUILD_NPMRC,
    listenTimeoutMs: given.BOUGH_LISTEN_TIMEOUT_SECONDS * 1_000,
    buildTimeoutMs: given.BOUGH_BUILD_TIMEOUT_SECONDS * 1_000,
    faultDirectory: given.BOUGH_FAULT_DIRECTORY,
    github,
    environment,
  };
}

function mebibytes(count: number | undefined): number | null {
  return count === undefined ? null : count * 1024 ** 2;
}
