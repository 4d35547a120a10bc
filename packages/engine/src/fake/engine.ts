import { createHash, randomInt } from 'node:crypto';
import { BoughError } from '@bough/domain/bough-error';
import { redact } from '@bough/domain/secret';
import type {
  Artifact,
  BuildSpec,
  Engine,
  RunResult,
  RunSpec,
  Surroundings,
  Workload,
  WorkloadSpec,
} from '../engine.ts';
import { canonicalSpec, secretsOf } from '../variables.ts';

export interface CommandOutcome {
  readonly exitCode: number;
  readonly lines: readonly string[];
}

/** What a command does on a machine that runs nothing. */
export type CommandScript = (command: string, surroundings: Partial<Surroundings>) => CommandOutcome;

export interface FakeMachineOptions {
  readonly script?: CommandScript;
  /** Versions that can be had, by toolchain: `{ 'nodejs:22': '22.23.3' }`. */
  readonly toolchains?: Readonly<Record<string, string>>;
  readonly now?: () => Date;
}

/** A machine in memory. It stays when an engine on it is made anew, as the real one does when Bough restarts. */
export interface FakeMachine {
  engine(installationId: string): Engine;
  /** Lets a workload exit; like the real one it is started again. */
  crash(id: string, exitCode?: number): void;
  /** The machine restarts: nothing runs, everything is still known. */
  reboot(): void;
}

interface Running {
  workload: Workload;
  readonly lines: string[];
}

const defaultToolchains = {
  'nodejs:20': '20.20.2',
  'nodejs:22': '22.23.3',
  'postgresql:16': '16.14.0',
  'redis:7': '7.0.15',
};

export function createFakeMachine(options: FakeMachineOptions = {}): FakeMachine {
  const workloads = new Map<string, Running>();
  const artifacts = new Map<string, Artifact>();
  const state: FakeState = {
    workloads,
    artifacts,
    script: options.script ?? echoScript,
    toolchains: options.toolchains ?? defaultToolchains,
    now: options.now ?? (() => new Date()),
  };
  return {
    engine: (installationId) => createFakeEngine(state, installationId),
    crash(id, exitCode = 1) {
      const running = workloads.get(id);
      if (running?.workload.state !== 'running') return;
      const restarts = running.workload.restarts + 1;
      running.workload = { ...running.workload, restarts, lastExitCode: exitCode, startedAt: state.now() };
    },
    reboot() {
      for (const running of workloads.values()) running.workload = { ...running.workload, state: 'stopped' };
    },
  };
}

interface FakeState {
  readonly workloads: Map<string, Running>;
  readonly artifacts: Map<string, Artifact>;
  readonly script: CommandScript;
  readonly toolchains: Readonly<Record<string, string>>;
  readonly now: () => Date;
}

/** Understands lines `echo TEXT` and `exit N`; takes everything else for something that succeeds and says nothing. */
export function echoScript(command: string): CommandOutcome {
  const lines: string[] = [];
  for (const line of command.split(/[\n;]/).map((part) => part.trim())) {
    const said = /^echo (.*)$/.exec(line)?.[1];
    if (said !== undefined) lines.push(said.replace(/^(["'])(.*)\1$/, '$2'));
    const exit = /^exit (\d+)$/.exec(line)?.[1];
    if (exit !== undefined) return { exitCode: Number(exit), lines };
  }
  return { exitCode: 0, lines };
}

function createFakeEngine(state: FakeState, installationId: string): Engine {
  const own = (id: string) => {
    const running = state.workloads.get(id);
    return running?.workload.labels.installationId === installationId ? running : undefined;
  };
  return {
    kind: 'fake',
    async resolve(toolchain) {
      const version = state.toolchains[toolchain];
      if (version === undefined) throw unavailable(toolchain, state);
      return { toolchain, version, digest: digest([toolchain, version]) };
    },
    async list(filter) {
      const all = [...state.workloads.values()].map((running) => running.workload);
      return all.filter(
        ({ labels }) =>
          labels.installationId === installationId &&
          (filter?.environmentId === undefined || labels.environmentId === filter.environmentId),
      );
    },
    observe: async (id) => own(id)?.workload,
    async ensure(spec, ensureOptions) {
      ensureOptions?.signal?.throwIfAborted();
      return ensure(state, spec, own(spec.id));
    },
    async stop(id) {
      const running = own(id);
      if (running) running.workload = { ...running.workload, state: 'stopped' };
    },
    async remove(id) {
      if (own(id)) state.workloads.delete(id);
    },
    run: async (spec) => run(state, spec),
    build: async (spec) => build(state, spec),
    artifacts: {
      list: async () => [...state.artifacts.values()],
      find: async (key) => state.artifacts.get(key),
      remove: async (key) => {
        state.artifacts.delete(key);
      },
    },
    async *logs(id, { lines }) {
      if (lines > 0) yield* own(id)?.lines.slice(-lines) ?? [];
    },
  };
}

function ensure(state: FakeState, spec: WorkloadSpec, before: Running | undefined): Workload {
  checkSurroundings(state, spec);
  const specDigest = digest(canonicalSpec(spec));
  if (before?.workload.state === 'running' && before.workload.specDigest === specDigest)
    return before.workload;
  const port = before?.workload.address?.port ?? freePort(state);
  const workload: Workload = {
    ...{
      id: spec.id,
      labels: spec.labels,
      state: 'running',
      restarts: 0,
      startedAt: state.now(),
      specDigest,
    },
    ...(spec.listens ? { address: { host: '127.0.0.1', port } } : {}),
  };
  const lines = [...(before?.lines ?? []), ...state.script(spec.command, spec).lines];
  state.workloads.set(spec.id, { workload, lines });
  return workload;
}

function run(state: FakeState, spec: RunSpec): RunResult {
  spec.signal?.throwIfAborted();
  checkSurroundings(state, spec);
  const { exitCode, lines } = say(state.script(spec.command, spec), spec);
  return { exitCode, durationMs: 0, tail: lines.slice(-50) };
}

function build(state: FakeState, spec: BuildSpec): Artifact {
  const known = state.artifacts.get(spec.key);
  if (known) return { ...known, cached: true };
  spec.signal?.throwIfAborted();
  const { exitCode, lines } =
    spec.hook === null ? { exitCode: 0, lines: [] } : say(state.script(spec.hook, spec), spec);
  if (exitCode !== 0) {
    throw new BoughError({
      code: 'build-failed',
      message: `The build hook of app "${spec.labels.name}" failed with exit code ${exitCode}.`,
      hint: 'Correct the hook or the code that it builds, and push again.',
      tail: lines.slice(-50),
    });
  }
  const artifact: Artifact = {
    key: spec.key,
    sizeBytes: 0,
    builtAt: state.now(),
    cached: true,
    durationMs: 0,
  };
  state.artifacts.set(spec.key, artifact);
  return { ...artifact, cached: false };
}

function say(outcome: CommandOutcome, spec: Pick<RunSpec, 'env' | 'onOutput'>): CommandOutcome {
  const lines = outcome.lines.map((line) => redact(line, secretsOf(spec.env)));
  for (const line of lines) spec.onOutput?.(line);
  return { ...outcome, lines };
}

function checkSurroundings(state: FakeState, spec: Surroundings): void {
  for (const toolchain of spec.toolchains) {
    if (state.toolchains[toolchain] === undefined) throw unavailable(toolchain, state);
  }
  if (spec.artifact === undefined || state.artifacts.has(spec.artifact)) return;
  throw new BoughError({
    code: 'artifact-missing',
    message: `The artifact ${spec.artifact} is not on this machine any more.`,
    hint: 'Redeploy the environment, which builds it again.',
    retryable: true,
  });
}

function freePort(state: FakeState): number {
  const taken = new Set([...state.workloads.values()].map(({ workload }) => workload.address?.port));
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (!taken.has(port)) return port;
  }
}

function unavailable(toolchain: string, state: FakeState): BoughError {
  return new BoughError({
    code: 'toolchain-unavailable',
    message: `The toolchain ${toolchain} cannot be had here.`,
    hint: `Use one of ${Object.keys(state.toolchains).join(', ')}.`,
  });
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
}
