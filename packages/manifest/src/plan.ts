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
  readonly toolchains: readonly PlannedToolchain[];
  readonly root: string;
  readonly build: { readonly flavor: string; readonly hook: string | null };
  readonly deployHook: string | null;
  readonly postDeployHook: string | null;
  /** Null: no web process. */
  readonly web: {
    readonly start: string;
    readonly preStart: string | null;
    readonly postStart: string | null;
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
  /** Apps that name the same volume share it: `app:source-path`. */
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
  }[];
  readonly fsync: boolean;
  readonly crons: 'on' | 'off';
  readonly memoryMib: Readonly<Record<string, number>>;
}
