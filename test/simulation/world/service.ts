import { Secret } from '@bough/domain/secret';
import type { Service } from '@bough/service/service';
import type { Calls } from '../calls.ts';
import type { SimProcess } from '../process.ts';
import type { Machine } from './machine.ts';

/** A database that keeps data and can be cloned; it answers when its workload runs. */
export function createService(of: { calls: Calls; machine: Machine; process: SimProcess }): Service {
  const { calls, machine, process } = of;
  const takes = [0, 20] as const;
  return {
    types: ['postgresql'],
    persistent: () => true,
    check: () => [],
    toolchain: () => 'postgresql:16',
    credentials: () => ({ username: 'main', password: new Secret('a-password-of-this-one'), endpoints: {} }),
    program: () => ({
      initialise: 'echo initialised',
      env: {},
      command: 'echo serving',
      limits: { memoryBytes: 1, pids: 1, cpus: 1 },
      stopSignal: 'SIGTERM',
      stopGraceMs: 1,
    }),
    ready: ({ port }) =>
      calls.call(
        process,
        'service ready',
        async () => {
          if ((await machine.listeningAt(port)) === undefined) throw new Error('connection refused');
          return { version: '16.14' };
        },
        { takes },
      ),
    provision: () => calls.call(process, 'service provision', () => {}, { takes }),
    endpoints: () => ({
      postgresql: {
        ...{
          scheme: 'pgsql',
          urlScheme: 'postgresql',
          username: 'main',
          password: null,
          path: 'main',
          query: {},
        },
      },
    }),
    cloning: {
      join: () => ({ begin: async () => {}, end: async () => {}, release: async () => {} }),
      defang: () => calls.call(process, 'service defang', () => {}, { takes }),
      claim: ({ port }) =>
        calls.call(
          process,
          'service claim',
          async () => {
            if ((await machine.listeningAt(port)) === undefined) throw new Error('connection refused');
          },
          { takes },
        ),
      adopt: (_declaration, { port }) =>
        calls.call(
          process,
          'service adopt',
          async () => {
            if ((await machine.listeningAt(port)) === undefined) throw new Error('connection refused');
            return { version: '16.14' };
          },
          { takes },
        ),
      count: async () => [],
    },
  };
}
