import type { PreviewPolicy } from './preview-policy.ts';
import type { RefreshSchedule } from './refresh-schedule.ts';
import type { SanitizePolicy } from './sanitize-policy.ts';

/** The manifest as read: every shorthand spelled out, every default still absent or written as documented. */
export interface Manifest {
  /** Files it was read from, in order, relative to the repository's root. */
  readonly files: readonly string[];
  readonly flavour: 'bough' | 'upsun';
  readonly apps: readonly App[];
  readonly services: readonly ServiceEntry[];
  readonly routes: readonly RouteEntry[];
  /** `previews:`; only the default branch's counts. */
  readonly previews: PreviewPolicy;
  /** `data:`; only the default branch's counts. Null: services of previews start empty and seed themselves. */
  readonly data: DataPolicy | null;
  /** Accepted, but not as the author may expect: legacy forms and what they were mapped to, keys not acted on yet. */
  readonly notes: readonly Problem[];
}

/** Where something is written, for messages. */
export interface Place {
  readonly file: string;
  /** 1-based, as is the column. */
  readonly line: number;
  readonly column: number;
}

export interface Problem extends Place {
  readonly message: string;
  readonly hint: string;
}

export type ReadResult =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }
  /** The tree has no manifest at all. */
  | { readonly kind: 'absent' };

export interface App {
  readonly name: string;
  /** `nodejs:22`. */
  readonly type: string;
  /** What it runs on, the primary one first: `['nodejs:22']`; several only for `composable`. */
  readonly toolchains: readonly string[];
  /** Relative to the repository's root, without slashes at the ends; '' is the root. */
  readonly root: string;
  readonly hooks: {
    readonly build: string | null;
    readonly deploy: string | null;
    readonly postDeploy: string | null;
  };
  readonly buildFlavor: string | null;
  readonly web: {
    readonly start: string | null;
    readonly preStart: string | null;
    readonly postStart: string | null;
    readonly locations: Readonly<Record<string, unknown>>;
  } | null;
  readonly workers: readonly Worker[];
  readonly relationships: readonly Relationship[];
  readonly mounts: readonly MountEntry[];
  /** `variables.env`: real variables; complex values as JSON. Other prefixes: see `otherVariables`. */
  readonly env: Readonly<Record<string, string>>;
  readonly otherVariables: Readonly<Record<string, unknown>>;
  readonly crons: readonly { readonly name: string; readonly spec: string; readonly start: string }[];
  /** `size`-like wish, in MiB; null = the default. */
  readonly memoryMib: number | null;
  readonly place: Place;
  /** Where `source.root` is written; the app's own place when it is not. */
  readonly rootPlace: Place;
}

export interface Worker {
  readonly name: string;
  readonly start: string;
  readonly relationships: readonly Relationship[];
  readonly mounts: readonly MountEntry[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Relationship {
  readonly name: string;
  /** A service or another app. */
  readonly target: string;
  readonly endpoint: string;
}

export interface MountEntry {
  /** Below the app, without slashes at the ends. */
  readonly path: string;
  readonly source: 'storage' | 'instance' | 'tmp' | 'service';
  readonly sourcePath: string;
  readonly service: string | null;
}

export interface ServiceEntry {
  readonly name: string;
  /** Before the colon: `postgresql`. */
  readonly type: string;
  readonly version: string;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly place: Place;
}

export interface RouteEntry {
  /** As written: `https://{default}/`, `https://api.{default}/`. */
  readonly pattern: string;
  readonly id: string | null;
  readonly primary: boolean;
  readonly attributes: Readonly<Record<string, string>>;
  readonly kind: 'upstream' | 'redirect';
  /** App name when upstream; address when redirect. */
  readonly to: string;
}

export interface DataPolicy {
  /** `none` is the words `sanitize: none`: previews get raw data. */
  readonly sanitize: 'none' | SanitizePolicy;
  /** When a new golden snapshot is made beside those after deployments; null: at no time. */
  readonly refresh: RefreshSchedule | null;
  /** How many golden snapshots stay, beside those that a living preview was made from. */
  readonly keep: number;
  readonly rehearsal: RehearsalPolicy;
  /** Service → where its data comes from instead of a production that runs here. */
  readonly source: Readonly<Record<string, ServiceSource>>;
}

/** Whether and how strictly a push's migrations are tried on a clone of production's data. */
export interface RehearsalPolicy {
  readonly enabled: boolean;
  /** How long visitors' queries may wait for a migration. */
  readonly stallBudgetMs: number;
}

export type ServiceSource = ReadSource | SeedSource;

/** A place that the data is read from. */
export type ReadSource =
  /** A project secret that holds a connection string. */
  | {
      readonly kind: 'secret';
      readonly name: string;
      /** Nothing but a standby may be read. */
      readonly standby?: true;
      /** How many connections may read at once, where the service can do that. */
      readonly connections?: number;
    }
  /** A dump in the project's folder on the machine. */
  | { readonly kind: 'file'; readonly name: string };

/** A command of an app of the default branch, which fills every service that names it, at one go. */
export interface SeedSource {
  readonly kind: 'seed';
  readonly command: string;
  /** The app's name; it has a relationship to the service. */
  readonly app: string;
}
