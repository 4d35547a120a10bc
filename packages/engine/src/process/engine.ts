import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Toolchain } from '@bough/toolchain/toolchain';
import type { Engine, ResolvedVersion } from '../engine.ts';
import { createArtifactShelf } from './artifacts.ts';
import { describeBaseSystem } from './base-system.ts';
import { build } from './build.ts';
import { createBuildCache } from './build-cache.ts';
import { type BuildEnvironment, emptyBuildEnvironment } from './build-environment.ts';
import { probeHierarchies, type Resource } from './cgroup.ts';
import type { EngineContext, EngineLog } from './context.ts';
import type { EgressOptions } from './door/egress.ts';
import { type Isolation, probeIsolation } from './isolation.ts';
import { readLog } from './logs.ts';
import { createPorts } from './ports.ts';
import { run } from './run.ts';
import { stateDirectory } from './supervisor.ts';
import { sweep } from './sweep.ts';
import {
  checkedId,
  ensureWorkload,
  listWorkloads,
  observeWorkload,
  removeWorkload,
  stopWorkload,
  type WorkloadHost,
} from './workloads.ts';

export interface ProcessEngineOptions {
  /** BOUGH_HOME. Nothing outside it is written, control groups aside. */
  readonly home: string;
  readonly installationId: string;
  /** Also where bubblewrap comes from. */
  readonly toolchain: Toolchain;
  readonly log: EngineLog;
  /** What builds may use of the operator's; see `defaultBuildEnvironment`. */
  readonly buildEnvironment?: BuildEnvironment;
  /** Size at which a workload's log is turned over; the one before is kept too. */
  readonly logBytes?: number;
  /** For tests: what the way out of untrusted builds takes for public. */
  readonly egress?: Omit<EgressOptions, 'directory'>;
  /** False: do as on a machine where no control group can be made. */
  readonly useControlGroups?: boolean;
}

export interface Capabilities {
  /** What is limited for a workload as a whole. What is not listed is limited for each process, or not at all (cpus). */
  readonly limits: readonly Resource[];
}

export interface ProcessEngine extends Engine {
  readonly kind: 'process';
  capabilities(): Capabilities;
  /** Whether sandboxes work here, found out by entering one. Where not, every `ensure`, `run` and `build` fails. */
  probeIsolation(): Promise<Isolation>;
  /** The same for secluded ones, with a network of their own. */
  probeSeclusion(): Promise<Isolation>;
}

const defaultLogBytes = 10 * 1024 * 1024;

/** Looks at what the machine can do and removes what a killed Bough left; what runs is left alone. */
export async function createProcessEngine(options: ProcessEngineOptions): Promise<ProcessEngine> {
  await mkdir(options.home, { recursive: true, mode: 0o700 });
  const home = await realpath(options.home);
  const { installationId, toolchain, log } = options;
  const groupsWanted = options.useControlGroups ?? true;
  const context: EngineContext = {
    ...{ home, installationId, toolchain, log },
    buildEnvironment: options.buildEnvironment ?? emptyBuildEnvironment,
    base: await describeBaseSystem(),
    hierarchies: groupsWanted ? await probeHierarchies({ name: `bough-${checkedId(installationId)}` }) : [],
    logBytes: options.logBytes ?? defaultLogBytes,
    egress: options.egress,
  };
  await sweep(context);
  return assemble(context);
}

function assemble(context: EngineContext): ProcessEngine {
  const shelf = createArtifactShelf(context.home);
  const cache = createBuildCache(context.home);
  const host: WorkloadHost = { context, shelf, ports: createPorts(join(context.home, 'engine/ports')) };
  return {
    kind: 'process',
    async resolve(toolchain, { signal } = {}): Promise<ResolvedVersion> {
      const { version, digest } = await context.toolchain.resolve(toolchain, { signal });
      return { toolchain, version, digest };
    },
    async list(filter) {
      const all = await listWorkloads(host);
      const { environmentId } = filter ?? {};
      return environmentId === undefined
        ? all
        : all.filter((workload) => workload.labels.environmentId === environmentId);
    },
    observe: (id) => observeWorkload(host, id),
    ensure: (spec, { signal } = {}) => ensureWorkload(host, spec, signal),
    stop: (id) => stopWorkload(host, id),
    remove: (id) => removeWorkload(host, id),
    run: (spec) => run(context, shelf, spec),
    build: (spec) => build({ context, shelf, cache }, spec),
    caches: { list: cache.list, remove: cache.remove },
    artifacts: { list: shelf.list, find: shelf.find, remove: shelf.remove },
    logs: (id, logOptions) =>
      readLog(join(stateDirectory(context.home, checkedId(id)), 'output.log'), logOptions),
    capabilities: () => ({ limits: context.hierarchies.flatMap((hierarchy) => hierarchy.resources) }),
    probeIsolation: () => probeIsolation(context),
    probeSeclusion: () => probeIsolation(context, 'own'),
  };
}
