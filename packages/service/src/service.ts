import type { Secret } from '@bough/domain/secret';

/**
 * What a service of the manifest is: which program to run, how to tell that it is ready, how it joins a consistent
 * snapshot, how it becomes somebody else's after a clone. It runs nothing itself: commands are data for an engine.
 */
export interface Service {
  /** The manifest's `type` before the colon, with the aliases that mean the same: `postgresql`, `redis`, `redis-persistent`. */
  readonly types: readonly string[];
  /** False: it starts empty every time and has no volume, but for clones of a `keyed` service, which start from theirs every time. */
  persistent(type: string): boolean;

  /** Problems in the manifest's `configuration`, each with the key's path and a way out. Empty when it is fine. */
  check(declaration: ServiceDeclaration): ConfigurationProblem[];

  /** The engine's toolchain for it: `postgresql:16`. */
  toolchain(declaration: ServiceDeclaration): string;
  /** Fresh random credentials for one environment. Serialisable: kept encrypted by the store. */
  credentials(declaration: ServiceDeclaration): Credentials;
  /** Everything an engine needs to run it. Pure. The volume, if any, is at `/data`; `hasVolume` counts where it need not have one. */
  program(
    declaration: ServiceDeclaration,
    credentials: Credentials,
    mode: ServiceMode,
    on?: { readonly hasVolume: boolean },
  ): ServiceProgram;

  /**
   * The version whose files a volume holds, when this declaration cannot be started on them: asked before anything is
   * stopped. Undefined when it can, or when the volume is fresh. Absent where any version reads any other's files.
   */
  unreadable?(declaration: ServiceDeclaration, path: string): Promise<string | undefined>;

  /** Resolves when it answers with these credentials; its exact version as the server itself says it. Rejects when aborted. */
  ready(address: Address, credentials: Credentials, signal: AbortSignal): Promise<{ version: string }>;
  /** Brings databases, extensions, roles and endpoints to the declaration. Idempotent. */
  provision(declaration: ServiceDeclaration, address: Address, credentials: Credentials): Promise<void>;
  /** What apps get for each endpoint: `<relationship>.internal` is the host they use. */
  endpoints(declaration: ServiceDeclaration, credentials: Credentials): Readonly<Record<string, Endpoint>>;

  /** Fills a server that was just provisioned from elsewhere. Absent where that cannot be done. */
  load?(
    source: DataSource,
    target: { declaration: ServiceDeclaration; address: Address; credentials: Credentials },
    options: LoadOptions,
  ): Promise<LoadedSource>;

  /** Absent where data cannot be cloned as it is. */
  readonly cloning?: Cloning;
  /** Where data is cloned key by key, and only what rules name (Redis); it starts empty without such rules. */
  readonly keyed?: Keyed;
}

/** Where a service's data is read from when production does not run here. */
export type DataSource =
  | {
      readonly kind: 'url';
      readonly url: Secret;
      /** Nothing but a standby may be read. */
      readonly standby?: boolean;
      /** How many connections may read at once, where the service can do that. */
      readonly connections?: number;
    }
  /** A dump as the service's own tool writes it. */
  | { readonly kind: 'file'; readonly path: string };

/** What was read, for people and the signed report: no address, no name, no value. */
export interface LoadedSource {
  readonly words: string;
}

export interface LoadOptions {
  readonly signal: AbortSignal;
  /** Progress. */
  readonly line: (text: string) => void;
  /** Where the programs of a toolchain (`mariadb:11.4`) are on this machine, and what they need to run. */
  readonly tools?: ((toolchain: string) => Promise<ToolPlace>) | undefined;
}

export interface ToolPlace {
  readonly bin: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Cloning {
  /** Lets a running server take part in a copy that is not atomic. Unused when the storage is atomic. */
  join(address: Address, credentials: Credentials, run: RunBeside): SnapshotParticipation;
  /** Edits of the copied files before anything is started on them: the copy must not write into production's archive, slots or mailboxes. */
  defang(path: string): Promise<void>;
  /** After the first start of a copy: its own passwords and identity; production's are gone. Idempotent. */
  claim(address: Address, from: Credentials, to: Credentials): Promise<void>;
  /**
   * `claim`, `provision` and `ready` in one for a copy of what was claimed once already, a golden: somebody waits for it.
   * Resolves when all that is done; rejects when aborted. Idempotent.
   */
  adopt(declaration: ServiceDeclaration, address: Address, adoption: Adoption): Promise<{ version: string }>;
  /** Rows per table, largest first, at most 100 tables: shown, and compared after a clone. */
  count(address: Address, credentials: Credentials): Promise<readonly { table: string; rows: number }[]>;
}

export interface Adoption {
  /** What the copied files still carry. */
  readonly from: Credentials;
  readonly to: Credentials;
  readonly signal: AbortSignal;
}

export interface Keyed {
  /** Has a server of mode `capture` write what it holds to its volume: once it is stopped, previews start from that. */
  seal(
    declaration: ServiceDeclaration,
    address: Address,
    credentials: Credentials,
    signal: AbortSignal,
  ): Promise<void>;
}

/** Around a copy of the files, or `copy` in its place where files copied one after another could not be mended. */
export type SnapshotParticipation =
  | {
      readonly begin: () => Promise<void>;
      readonly end: (paths: CopyPaths) => Promise<void>;
      readonly release: () => Promise<void>;
    }
  | { readonly copy: (paths: CopyPaths) => Promise<void> };

export interface CopyPaths {
  readonly source: string;
  readonly copy: string;
}

/**
 * Runs a script of the service's own toolchain beside the running server, to its end: the volume read-only at `/data`,
 * the empty copy at `/copy`. Given by whoever has an engine.
 */
export type RunBeside = (
  program: Pick<ServiceProgram, 'command' | 'env'>,
  paths: CopyPaths,
) => Promise<{ exitCode: number; tail: readonly string[] }>;

/** `production` keeps every byte; `preview` may lose the last second on a power cut (fsync off, small memory); `capture` is private. */
export type ServiceMode = 'production' | 'preview' | 'capture';

export interface ServiceDeclaration {
  readonly name: string;
  readonly type: string;
  readonly version: string;
  readonly configuration: Readonly<Record<string, unknown>>;
}

export interface ConfigurationProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly hint: string;
}

export interface Credentials {
  readonly username: string;
  readonly password: Secret;
  /** Users of further endpoints: endpoint name → its own. */
  readonly endpoints: Readonly<Record<string, { username: string; password: Secret }>>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ServiceProgram {
  /** Dash script run once before the first start, with the volume at `/data`; must do nothing when done before. */
  readonly initialise?: string;
  /** Dash script; listens on 127.0.0.1 at $PORT. */
  readonly command: string;
  readonly env: Readonly<Record<string, string | Secret>>;
  readonly stopSignal: 'SIGTERM' | 'SIGINT' | 'SIGQUIT';
  readonly stopGraceMs: number;
  readonly limits: { readonly memoryBytes: number; readonly pids: number; readonly cpus: number };
}

/** One endpoint of a service as applications see it (upsun-manifest.md §2.1). */
export interface Endpoint {
  readonly scheme: string;
  /** Scheme that ordinary drivers accept in a URL: `postgresql` where the platform's own says `pgsql`. */
  readonly urlScheme: string;
  readonly username: string;
  readonly password: Secret | null;
  /** Database, vhost or core; without a leading slash. */
  readonly path: string;
  readonly query: Readonly<Record<string, unknown>>;
}
