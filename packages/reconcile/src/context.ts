import type { AttestationKeys } from '@bough/domain/attestation-key';
import type { Clock } from '@bough/domain/clock';
import type { Secret } from '@bough/domain/secret';
import type { Engine } from '@bough/engine/engine';
import type { Forge } from '@bough/forge/forge';
import type { Sources } from '@bough/forge/git/sources';
import type { Service, ToolPlace } from '@bough/service/service';
import type { Storage } from '@bough/storage/storage';
import type { Encryption } from '@bough/store/encryption';
import type pg from 'pg';
import type { Capacity } from './admit.ts';
import type { Shelf } from './budgets/shelf.ts';
import type { BuildSlots } from './build-slots.ts';
import type { Network } from './network.ts';
import type { StepLogs } from './step-log.ts';

/** Everything that observe and reconcile work with. Made once by an app's wiring and passed down. */
export interface Context {
  readonly pool: pg.Pool;
  /** For connections of their own: locks. */
  readonly databaseUrl: string;
  readonly connect: (config: pg.ClientConfig) => pg.Client;
  readonly clock: Clock;
  readonly installationId: string;
  readonly enqueue: (
    queue: 'observe' | 'reconcile' | 'feedback' | 'data' | 'wake' | 'rehearse',
    key: string,
    options?: { delayMs?: number },
  ) => Promise<void>;
  readonly forge: (kind: string) => Forge;
  /** What is read of commits that the forge fetched. */
  readonly sources: Sources;
  /** How workloads and the gateway are reached from here. */
  readonly network: Network;
  readonly stepLogs: StepLogs;
  readonly engine: Engine;
  readonly storage: Storage;
  readonly service: (type: string) => Service;
  /** Programs of a toolchain on the worker's own machine. Undefined: only what the machine has installed is used. */
  readonly tools?: ((toolchain: string) => Promise<ToolPlace>) | undefined;
  /** One digest of what a database server's tables are. Undefined: production's schema is not looked at between captures. */
  readonly readSchema?: ReadSchema | undefined;
  /** Seals and opens what is kept encrypted in the store. */
  readonly encryption: Encryption;
  /** Keys masks and the digests of secrets in artifact keys. */
  readonly signingKey: Secret;
  /** Signs what goldens are; only what these keys signed is cloned. */
  readonly attestationKeys: AttestationKeys;
  readonly directories: Directories;
  readonly gateway: { readonly host: string; readonly port: number; readonly probeToken: Secret };
  /** Signs the links of previews. */
  readonly linkKey: Secret;
  readonly previewUrl: string;
  readonly publicUrl: string;
  /** False while database and BOUGH_HOME name different installations: then nothing is reaped (DESIGN §5). */
  readonly mayReap: boolean;
  /** False where the engine cannot isolate: previews then get no cloned data (DESIGN §6). */
  readonly isolation: { readonly ok: boolean; readonly reason?: string };
  /** The same for code of strangers, which needs a network of its own; where not, it does not run (DESIGN §10). */
  readonly seclusion: { readonly ok: boolean; readonly reason?: string };
  readonly buildSlots: BuildSlots;
  /** Undefined: everything is admitted. */
  readonly capacity?: Capacity | undefined;
  /** What has a budget, a shelf for each kind. Undefined: nothing is pruned. */
  readonly shelves?: readonly Shelf[] | undefined;
  readonly deadlines: Deadlines;
  readonly log: Log;
  /** Undefined but in tests of crashes. */
  readonly faultPoint?: FaultPoint | undefined;
}

/**
 * A place at which a test may hold work up: `before-build` when the step has begun, `after-build` before its end is noted,
 * `during-backup`, `-files`, `-capture`, `-masking`, `-scrubbing`, `-verifying`, `-proving` and `-freezing` of the environment whose
 * data is captured, `during-clone` of the one that gets it.
 */
export type FaultPoint = (at: { slug: string; point: string; signal: AbortSignal }) => Promise<void>;

export type ReadSchema = (of: {
  /** Of the service: `postgresql`. */
  type: string;
  server: { host: string; port: number; username: string; password: Secret };
  signal: AbortSignal;
}) => Promise<string>;

export interface Directories {
  /** Bare mirrors, one per project. */
  readonly mirrors: string;
  /** `<project>/<file>`: dumps that the operator allows a project to be filled from. */
  readonly dumps: string;
}

export interface Deadlines {
  readonly buildMs: number;
  readonly hookMs: number;
  readonly serviceMs: number;
  readonly listenMs: number;
  readonly verifyMs: number;
}

export interface Log {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export const DEFAULT_DEADLINES: Deadlines = {
  buildMs: 30 * 60_000,
  hookMs: 30 * 60_000,
  serviceMs: 90_000,
  listenMs: 60_000,
  verifyMs: 30_000,
};
