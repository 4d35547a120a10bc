import type { Relationship } from './manifest.ts';

/**
 * The manifest compiled for one environment. `common` is the same for every environment of a commit; its digest is
 * the fingerprint. `overlay` is the closed list of what may differ.
 */
export interface Plan {
  readonly common: PlanCommon;
  readonly overlay: PlanOverlay;
  /** sha256 over the canonical JSON of `common`, hex. */
  readonly fingerprint: string;
}

export interface PlanCommon {
  readonly apps: readonly PlannedApp[];
  readonly services: readonly PlannedService[];
  readonly routes: readonly PlannedRoute[];
}

export interface PlannedApp {
  readonly name: string;
  /** As in the manifest: `nodejs:22`. */
  readonly type: string;
  readonly toolchains: readonly PlannedToolchain[];
  readonly root: string;
  /** `hook` is the whole script, what the flavour does included. Null: the source is the artifact. */
  readonly build: { readonly flavor: string; readonly hook: string | null };
  readonly deployHook: string | null;
  readonly postDeployHook: string | null;
  /** Null: no web process. */
  readonly web: {
    readonly start: string;
    readonly preStart: string | null;
    readonly postStart: string | null;
    readonly locations: Readonly<Record<string, unknown>>;
  } | null;
  readonly workers: readonly {
    readonly name: string;
    readonly start: string;
    readonly relationships: readonly Relationship[];
    readonly mounts: readonly PlannedMount[];
    readonly env: Readonly<Record<string, string>>;
  }[];
  readonly relationships: readonly Relationship[];
  readonly mounts: readonly PlannedMount[];
  readonly env: Readonly<Record<string, string>>;
  readonly otherVariables: Readonly<Record<string, unknown>>;
  readonly limits: { readonly memoryMib: number };
}

export interface PlannedMount {
  readonly path: string;
  readonly source: 'storage' | 'instance' | 'tmp';
  /** Whoever names the same volume shares it: `app:source-path`. Distinct after `slugify`, too. */
  readonly volume: string;
}

export interface PlannedToolchain {
  readonly want: string;
  readonly version: string;
  readonly digest: string;
}

export interface PlannedService {
  readonly name: string;
  readonly type: string;
  readonly version: string;
  /** What would run, exactly. */
  readonly toolchain: PlannedToolchain;
  readonly configuration: Readonly<Record<string, unknown>>;
}

export interface PlannedRoute {
  readonly pattern: string;
  readonly id: string | null;
  readonly primary: boolean;
  readonly attributes: Readonly<Record<string, string>>;
  readonly kind: 'upstream' | 'redirect';
  readonly to: string;
}

export interface PlanOverlay {
  readonly kind: 'production' | 'preview' | 'local';
  readonly hosts: readonly {
    readonly pattern: string;
    readonly url: string;
    readonly host: string;
    readonly path: string;
    /** The address that a redirect route leads to, in this environment; null for upstream routes. */
    readonly redirectTo: string | null;
  }[];
  readonly fsync: boolean;
  readonly crons: 'on' | 'off';
  readonly memoryMib: Readonly<Record<string, number>>;
}
