import type { Secret } from '@bough/domain/secret';

/**
 * Where workloads run.
 *
 * Life cycle of a deployment: `resolve` each toolchain, `build` each app whose artifact is absent, `ensure` the
 * services, `run` the deploy hook, `ensure` the new release's workloads, `remove` the old release's.
 *
 * - Every method is idempotent and may be called again after a crash half-way; `remove` of the absent succeeds.
 * - `list` finds workloads by our label on the running thing itself, not by our memory: after a lost state file a
 *   workload is still listed and can still be removed.
 * - A workload, once ensured, survives the process that ensured it; it is restarted when it exits (restart `always`).
 * - Names are deterministic from ids. Calls for different workloads may run at once; calls for one do not
 *   (reconcile holds the environment's lock).
 * - What an engine cannot do (a toolchain, an isolation) it refuses with a BoughError; it never pretends.
 */
export interface Engine {
  readonly kind: 'process' | 'docker' | 'kubernetes' | 'fake';

  /** The exact version behind a toolchain such as `nodejs:22`. BoughError `toolchain-unavailable` lists those that can be had. */
  resolve(toolchain: string, options?: { signal?: AbortSignal }): Promise<ResolvedVersion>;

  /** All workloads of this installation, those of other installations on the host left out. */
  list(filter?: { environmentId?: string }): Promise<Workload[]>;
  observe(id: string): Promise<Workload | undefined>;

  /**
   * Makes the workload run as the spec says and returns it with its address. One that runs under an equal spec is left
   * alone; one that differs is stopped and started anew. Does not wait until it is ready: probing is the caller's.
   */
  ensure(spec: WorkloadSpec, options?: { signal?: AbortSignal }): Promise<Workload>;

  /** Stops its processes as `remove` does, but keeps its port and its logs: the next `ensure` starts it where it was. */
  stop(id: string): Promise<void>;

  /** Stops (stop signal, grace, then SIGKILL of everything in it) and forgets the workload, its port and its files, logs included. */
  remove(id: string): Promise<void>;

  /** Runs a command to its end with a workload's file system and variables: hooks, initialisation. */
  run(spec: RunSpec): Promise<RunResult>;

  /** Builds an artifact, or returns at once when the key is there. Aborting kills the whole build and leaves nothing. */
  build(spec: BuildSpec): Promise<Artifact>;
  readonly artifacts: {
    list(): Promise<Artifact[]>;
    find(key: string): Promise<Artifact | undefined>;
    remove(key: string): Promise<void>;
  };

  /** Build caches. Absent where there are none. */
  readonly caches?: {
    list(): Promise<CacheOnDisk[]>;
    /** Never disturbs a build: each works on a copy. */
    remove(key: string): Promise<void>;
  };

  /** The last lines of a workload's output, oldest first; follows it until aborted when asked. */
  logs(id: string, options: { lines: number; follow?: boolean; signal?: AbortSignal }): AsyncIterable<string>;
}

export interface ResolvedVersion {
  readonly toolchain: string;
  /** Exact, as the binary itself reports it: `22.23.3`. */
  readonly version: string;
  /** Changes whenever what would run changes. Part of every artifact key. */
  readonly digest: string;
}

export interface WorkloadLabels {
  readonly installationId: string;
  readonly environmentId: string;
  readonly role: 'web' | 'worker' | 'cron' | 'service' | 'capture' | 'rehearsal';
  /** App, `app/worker` or service name in the manifest. */
  readonly name: string;
  /** Deployment id for an app's workloads; services outlive releases and have none. */
  readonly release?: string;
}

export type EnvironmentVariables = Readonly<Record<string, string | Secret>>;

/** What a process finds around it, whether it serves, runs once or builds. */
export interface Surroundings {
  /** First is the primary one: its binaries come first on PATH. */
  readonly toolchains: readonly string[];
  readonly env: EnvironmentVariables;
  /** Artifact key, seen read-only at `/app`, which is also the working directory. Absent for services. */
  readonly artifact?: string;
  /** Volumes and where they are seen, writable. An `at` below `/app` is bound over the artifact. */
  readonly mounts: readonly Mount[];
  /** Extra names in the hosts file, such as `database.internal` → `127.0.0.1`. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly limits: Limits;
  /** Absent: of people who may write to the repository, and in this machine's network. */
  readonly seclusion?: Seclusion;
}

/**
 * For code that nobody vouches for: a network of its own. In it 127.0.0.1 is the sandbox itself and the peers; there is no
 * other host, this machine and its metadata service included. An engine that cannot do that refuses.
 */
export interface Seclusion {
  /** Ports of this machine that lead to workloads of the same environment; found inside at 127.0.0.1 under the same numbers. */
  readonly peers: readonly number[];
  /** `public`: an HTTP proxy that connects to addresses of the public internet and to nothing else; not for workloads. */
  readonly network: 'none' | 'public';
  /** What a build may write in all, and what the volumes of everything else may hold. More ends it. */
  readonly diskBytes: number;
}

export interface Mount {
  /** A directory on this machine (local storages) or a claim name (csi). */
  readonly source: string;
  readonly at: string;
  readonly readOnly?: boolean;
}

export interface Limits {
  readonly memoryBytes: number;
  readonly pids: number;
  /** Share of one core, 1 = a whole one. */
  readonly cpus: number;
}

export interface WorkloadSpec extends Surroundings {
  /** Deterministic and unique on the host: see `workloadId` in @bough/domain/names. */
  readonly id: string;
  readonly labels: WorkloadLabels;
  /** A dash script; the engine sets PORT (a free port of its choice, kept across restarts) when `listens`. */
  readonly command: string;
  readonly listens: boolean;
  readonly stopSignal: 'SIGTERM' | 'SIGINT' | 'SIGQUIT';
  readonly stopGraceMs: number;
}

export interface Workload {
  readonly id: string;
  readonly labels: WorkloadLabels;
  /** `restarting`: it exited and is started again by itself. `stopped`: nothing of it runs until the next `ensure`. */
  readonly state: 'running' | 'restarting' | 'stopped';
  /** Where it can be reached from the gateway and from other workloads. */
  readonly address?: { readonly host: string; readonly port: number };
  readonly restarts: number;
  readonly lastExitCode?: number;
  readonly startedAt?: Date;
  /** Equal specs have equal digests. */
  readonly specDigest: string;
}

export interface RunSpec extends Surroundings {
  readonly labels: WorkloadLabels;
  readonly command: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly onOutput?: (line: string) => void;
}

export interface RunResult {
  readonly exitCode: number;
  /** Set when it was killed: by the deadline, by memory, by what it wrote when secluded, or by the caller's signal. */
  readonly killedBy?: 'timeout' | 'memory' | 'disk' | 'abort';
  readonly durationMs: number;
  /** The last 50 lines. */
  readonly tail: readonly string[];
}

export interface BuildSpec {
  readonly key: string;
  readonly toolchains: readonly string[];
  /** A directory with the app's source at exactly the commit; copied, never written to. */
  readonly source: string;
  /** Dash script, run with `set -e` semantics in `/app`. Null: nothing to run, the source is the artifact. */
  readonly hook: string | null;
  readonly env: EnvironmentVariables;
  /** Key of the project's build cache (PLATFORM_CACHE_DIR); `shared` builds write it, `throwaway` get a copy. */
  readonly cache: { readonly key: string; readonly mode: 'shared' | 'throwaway' };
  readonly labels: WorkloadLabels;
  readonly limits: Limits;
  /** As for workloads; with it nothing of the operator's build environment is seen but certificates. */
  readonly seclusion?: Seclusion;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly onOutput?: (line: string) => void;
}

export interface CacheOnDisk {
  readonly key: string;
  /** On disk: what versions share counts once. */
  readonly sizeBytes: number;
  readonly lastUsedAt: Date;
}

export interface Artifact {
  readonly key: string;
  readonly sizeBytes: number;
  readonly builtAt: Date;
  /** True when the key was there already. */
  readonly cached: boolean;
  readonly durationMs: number;
}
