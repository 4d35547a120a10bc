import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { engineContract } from '../contract.ts';
import type { WorkloadSpec } from '../engine.ts';
import { createFakeMachine } from './engine.ts';

engineContract('fake', async () => {
  const machine = createFakeMachine();
  const directory = await mkdtemp(join(tmpdir(), 'bough-fake-'));
  return {
    ...{ engine: machine.engine('own'), installationId: 'own', toolchain: 'nodejs:22', executes: false },
    restarted: async () => machine.engine('own'),
    stranger: async () => machine.engine('other'),
    directory: () => mkdtemp(join(directory, 'd-')),
    dispose: () => rm(directory, { recursive: true }),
  };
});

it('counts restarts of what crashes and forgets nothing over a reboot', async () => {
  const machine = createFakeMachine();
  const engine = machine.engine('own');
  const labels = { installationId: 'own', environmentId: '1', role: 'web', name: 'app' } as const;
  const limits = { memoryBytes: 1, pids: 1, cpus: 1 };
  const spec: WorkloadSpec = {
    ...{ id: 'a', labels, command: 'x', listens: true, stopSignal: 'SIGTERM', stopGraceMs: 0 },
    ...{ toolchains: [], env: {}, mounts: [], hosts: {}, limits },
  };
  const { address } = await engine.ensure(spec);
  machine.crash('a', 7);
  expect(await engine.observe('a')).toMatchObject({
    state: 'running',
    restarts: 1,
    lastExitCode: 7,
    address,
  });
  machine.reboot();
  expect(await engine.observe('a')).toMatchObject({ state: 'stopped', address });
  expect(await engine.ensure(spec)).toMatchObject({ state: 'running', address });
});
