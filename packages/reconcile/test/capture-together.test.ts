import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@bough/domain/secret';
import type { Service } from '@bough/service/service';
import { createFakeStorage, type FakeStorageOptions } from '@bough/storage/fake/storage';
import type { Volume } from '@bough/storage/storage';
import { createTempHome } from '@bough/testkit/temp-home';
import { afterEach, expect, test } from 'vitest';
import { captureTogether } from '../src/data/capture-together.ts';
import type { PlannedRun } from '../src/deploy/run.ts';
import { serviceVolumeId } from '../src/deploy/services.ts';
import { mountVolumeId } from '../src/deploy/surroundings.ts';
import { type Harness, openHarness, QUEUE } from './harness.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
const voice = { line() {}, note: async () => {} };

test('all parts are copied side by side, before anything else is done with one of them', async () => {
  const begun = new Set<string>();
  let letGo = () => {};
  const all = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  // Each copy waits until all three have begun: one after the other they would never end.
  const parts = await open(async (step, path) => {
    if (step !== 'copyLive') return;
    begun.add(path);
    if (begun.size === 3) letGo();
    await all;
  });
  const together = await captureTogether(parts.run, '1', parts.wanted, voice);
  expect(together.services.map(({ planned }) => planned.name)).toEqual(['one', 'two']);
  expect([...together.mounts.keys()]).toEqual(['app:uploads']);
  expect(together.span).toEqual({ instant: false, spreadMs: expect.any(Number) });
  expect(parts.calls.sort()).toEqual(['begin', 'begin', 'end', 'end', 'release', 'release']);
  expect(await parts.snapshots()).toHaveLength(3);
}, 30_000);

test('one volume is of one instant, a mount only where the storage sees one', async () => {
  const parts = await open();
  const [one] = parts.wanted.services;
  const [mounts, services] = [parts.wanted.mounts, one === undefined ? [] : [one]];
  const instants = [
    await captureTogether(parts.run, '1', { services, mounts: [] }, voice),
    await captureTogether(parts.run, '2', { services: [], mounts }, voice),
    await captureTogether(parts.run, '3', { services: [], mounts: [] }, voice),
  ].map(({ span }) => span.instant);
  expect(instants).toEqual([true, false, true]);
});

test('when one part fails, nothing of the others is left, and every server was let go', async () => {
  const parts = await open(async (step, path) => {
    if (step !== 'copyLive') return;
    if (parts.calls.filter((call) => call === 'begin').length === 2 && !path.includes('x'.repeat(99)))
      throw new Error('the disk burns');
  });
  await expect(captureTogether(parts.run, '1', parts.wanted, voice)).rejects.toThrow('the disk burns');
  expect(await parts.snapshots()).toEqual([]);
  expect(parts.calls.filter((call) => call === 'release')).toHaveLength(
    parts.calls.filter((call) => call === 'begin').length,
  );
});

async function open(before?: FakeStorageOptions['before']) {
  const harness: Harness = await openHarness();
  cleanUps.push(() => harness.close());
  const home = await createTempHome('capture');
  cleanUps.push(() => home.remove());
  const root = join(home.path, 'volumes');
  const calls: string[] = [];
  const hooks = {
    begin: async () => void calls.push('begin'),
    end: async () => void calls.push('end'),
    release: async () => void calls.push('release'),
  };
  const service: Service = {
    ...QUEUE,
    persistent: () => true,
    credentials: () => ({ username: 'root', password: new Secret('p'), endpoints: {} }),
    cloning: {
      ...{ join: () => hooks, defang: async () => {}, claim: async () => {}, count: async () => [] },
      adopt: async () => ({ version: '1' }),
    },
  };
  const storage = createFakeStorage({
    ...{ root, installationId: 'i1', atomic: false },
    ...(before === undefined ? {} : { before }),
  });
  const environmentId = await harness.wish(await harness.commit());
  const environment = await harness.row(environmentId);
  const engine = {
    ...harness.engine,
    observe: async (id: string) => ({
      ...{
        id,
        state: 'running' as const,
        restarts: 0,
        specDigest: '',
        address: { host: '127.0.0.1', port: 1 },
      },
      labels: { installationId: 'i1', environmentId, role: 'service' as const, name: id },
    }),
  };
  const context = { ...harness.context, storage, engine, service: () => service, faultPoint: undefined };
  const fence = { environmentId, generation: environment.generation, lease: environment.lease };
  const run = {
    ...{
      context,
      environment,
      lock: { fence, signal: new AbortController().signal },
      secrets: new Set<Secret>(),
    },
  } as unknown as PlannedRun;
  const services = ['one', 'two'].map((name) => ({
    ...{ name, type: 'database', version: '1', configuration: {} },
    toolchain: { want: 'database:1', version: '1', digest: '' },
  }));
  const mounts = [{ volume: 'app:uploads', isMasked: false }];
  const ids = [
    ...services.map(({ name }) => serviceVolumeId(run, name)),
    ...mounts.map(({ volume }) => mountVolumeId(run, volume)),
  ];
  for (const id of ids) {
    const labels = { installationId: 'i1', environmentId, name: id, kind: 'production' as const };
    const volume: Volume = await storage.ensure({ id, labels });
    await writeFile(join(volume.path, 'file'), id);
  }
  return {
    run,
    wanted: { services, mounts },
    calls,
    snapshots: () => readdir(join(root, 'snapshots')).catch(() => []),
  };
}
