import type { Engine, RunSpec, WorkloadSpec } from '@bough/engine/engine';
import { createFakeMachine, type FakeMachine } from '@bough/engine/fake/engine';
import type { Calls } from '../calls.ts';
import type { SimProcess } from '../process.ts';
import type { Witness } from '../witness.ts';

/** The machine on which workloads run: the fake one, seen and held up at every call. */
export interface Machine {
  engine(process: SimProcess): Engine;
  /** Everything that runs, or is known, whoever's it is. */
  list(): ReturnType<Engine['list']>;
  /** What runs at an address, when it listens there. */
  listeningAt(port: number): Promise<string | undefined>;
  readonly faults: Pick<FakeMachine, 'crash' | 'reboot'>;
}

export function createMachine(of: {
  calls: Calls;
  witness: Witness;
  installationId: string;
  now: () => Date;
}): Machine {
  const { calls, witness } = of;
  const toolchains = { 'nodejs:22': '22.23.3', 'postgresql:16': '16.14.0', 'redis:7': '7.0.15' };
  const machine = createFakeMachine({ now: of.now, toolchains });
  const engine = machine.engine(of.installationId);
  const commands = new Map<string, string>();
  /** A hook needs the database that it migrates. */
  async function isServiceStopped({ environmentId }: RunSpec['labels']): Promise<boolean> {
    const services = (await engine.list({ environmentId })).filter(({ labels }) => labels.role === 'service');
    // Those of data that is replaced stop when they like.
    return services.length > 0 && services.every(({ state }) => state === 'stopped');
  }
  const needsService = ({ labels, hosts }: RunSpec) =>
    labels.role === 'web' && labels.name.endsWith(' deploy') && Object.keys(hosts).length > 0;
  const seen = ({ labels, mounts }: Pick<WorkloadSpec | RunSpec, 'labels' | 'mounts'>) => ({
    labels,
    mounts: mounts.map(({ source }) => source),
  });
  return {
    list: () => engine.list(),
    async listeningAt(port) {
      const found = (await engine.list()).find(
        (workload) => workload.address?.port === port && workload.state === 'running',
      );
      if (found === undefined || commands.get(found.id)?.includes('be-silent') === true) return undefined;
      return found.id;
    },
    faults: machine,
    engine: (process) => ({
      kind: 'fake',
      resolve: (toolchain) =>
        calls.call(process, 'engine resolve', () => engine.resolve(toolchain), { takes: [0, 2] }),
      list: (filter) => calls.call(process, 'engine list', () => engine.list(filter), { takes: [0, 2] }),
      observe: (id) => calls.call(process, 'engine observe', () => engine.observe(id), { takes: [0, 2] }),
      ensure: (spec, options) =>
        calls.call(
          process,
          'engine ensure',
          async () => {
            options?.signal?.throwIfAborted();
            await witness.does({ verb: 'ensure', kind: 'workload', id: spec.id, ...seen(spec) });
            commands.set(spec.id, spec.command);
            return await engine.ensure(spec, options);
          },
          { takes: [2, 200] },
        ),
      stop: (id) =>
        calls.call(
          process,
          'engine stop',
          async () => {
            const found = await engine.observe(id);
            if (found === undefined) return;
            await witness.does({ verb: 'stop', kind: 'workload', id, labels: found.labels });
            await engine.stop(id);
          },
          { takes: [1, 100] },
        ),
      remove: (id) =>
        calls.call(
          process,
          'engine remove',
          async () => {
            const found = await engine.observe(id);
            if (found === undefined) return;
            await witness.does({ verb: 'remove', kind: 'workload', id, labels: found.labels });
            await engine.remove(id);
          },
          { takes: [1, 300] },
        ),
      run: (spec) =>
        calls.call(
          process,
          'engine run',
          async () => {
            await witness.does({ verb: 'run', kind: 'workload', id: spec.labels.name, ...seen(spec) });
            const lacks = needsService(spec) && (await isServiceStopped(spec.labels));
            return await engine.run(lacks ? { ...spec, command: 'exit 1' } : spec);
          },
          { takes: [2, 900], signal: spec.signal },
        ),
      build: (spec) =>
        calls.call(
          process,
          'engine build',
          async () => {
            await witness.does({ verb: 'run', kind: 'workload', id: spec.labels.name, labels: spec.labels });
            return await engine.build(spec);
          },
          { takes: [20, 2_500], signal: spec.signal },
        ),
      artifacts: {
        list: () => calls.call(process, 'engine list artifacts', () => engine.artifacts.list()),
        find: (key) => calls.call(process, 'engine find artifact', () => engine.artifacts.find(key)),
        remove: (key) => calls.call(process, 'engine remove artifact', () => engine.artifacts.remove(key)),
      },
      logs: async function* () {
        yield 'a last line';
      },
    }),
  };
}
