import { mkdir, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { Secret } from '@bough/domain/secret';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { BuildSpec, Engine, RunSpec, Workload, WorkloadSpec } from './engine.ts';

/** A machine with an engine on it, for the length of the suite. */
export interface EngineWorld {
  readonly engine: Engine;
  readonly installationId: string;
  /** A Node that the engine can have. */
  readonly toolchain: string;
  /** False for an engine that only pretends to run commands; it must understand `echo` and `exit`. */
  readonly executes: boolean;
  /** An engine made anew on the same machine, as after a restart of Bough. */
  restarted(): Promise<Engine>;
  /** The engine of another installation on the same machine. */
  stranger(): Promise<Engine>;
  /** A new empty directory for a volume or a source. */
  directory(): Promise<string>;
  dispose(): Promise<void>;
}

const MB = 1024 * 1024;
const slow = 60_000;

/** What every engine promises (see engine.ts). Each test uses names of its own and removes what it made. */
export function engineContract(name: string, setup: () => Promise<EngineWorld>): void {
  describe(`engine contract: ${name}`, () => {
    let world: EngineWorld;
    let names = 0;
    beforeAll(async () => {
      world = await setup();
    }, slow);
    afterAll(() => world.dispose(), slow);

    const surroundings = () => ({
      toolchains: [world.toolchain],
      env: {},
      mounts: [],
      hosts: {},
      limits: { memoryBytes: 256 * MB, pids: 100, cpus: 1 },
    });
    const labels = (environmentId = '1') => ({
      ...{ installationId: world.installationId, environmentId, role: 'web' as const, name: 'app' },
    });
    const workload = (more: Partial<WorkloadSpec> = {}): WorkloadSpec => ({
      ...surroundings(),
      ...{ id: `${world.installationId}-contract-${++names}`, labels: labels(), listens: true },
      ...{ command: 'echo started\nexec sleep 1000', stopSignal: 'SIGTERM', stopGraceMs: 2_000 },
      ...more,
    });
    const oneOff = (more: Partial<RunSpec> = {}): RunSpec => ({
      ...{ ...surroundings(), labels: labels(), command: 'exit 0', timeoutMs: 20_000 },
      ...more,
    });
    const building = (source: string, more: Partial<BuildSpec> = {}): BuildSpec => ({
      ...{
        key: `contract-${process.pid}-${++names}`,
        toolchains: [world.toolchain],
        source,
        hook: 'echo built',
        env: {},
      },
      ...{
        cache: { key: 'contract', mode: 'throwaway' as const },
        labels: labels(),
        limits: surroundings().limits,
      },
      ...{ timeoutMs: 20_000, ...more },
    });
    async function withWorkload(
      spec: WorkloadSpec,
      use: (workload: Workload) => Promise<void>,
    ): Promise<void> {
      try {
        await use(await world.engine.ensure(spec));
      } finally {
        await world.engine.remove(spec.id);
      }
    }

    describe('toolchains', () => {
      it('resolves to an exact version with a digest that stays', async () => {
        const resolved = await world.engine.resolve(world.toolchain);
        expect(resolved.version).toMatch(/^\d+\.\d+\.\d+$/);
        expect(resolved).toEqual(await world.engine.resolve(world.toolchain));
      });

      it('refuses what it cannot have', async () => {
        await expect(world.engine.resolve('cobol:60')).rejects.toBeInstanceOf(BoughError);
        await expect(world.engine.ensure(workload({ toolchains: ['cobol:60'] }))).rejects.toBeInstanceOf(
          BoughError,
        );
      });
    });

    describe('workloads', () => {
      it(
        'runs, is listed and observed, and is gone after remove',
        async () => {
          const spec = workload();
          await withWorkload(spec, async (ensured) => {
            expect(ensured).toMatchObject({
              id: spec.id,
              labels: spec.labels,
              state: 'running',
              restarts: 0,
            });
            expect(ensured.address?.port).toBeGreaterThan(1024);
            expect((await world.engine.list()).map((other) => other.id)).toContain(spec.id);
            expect(await world.engine.observe(spec.id)).toMatchObject({ specDigest: ensured.specDigest });
          });
          expect(await world.engine.observe(spec.id)).toBeUndefined();
          expect((await world.engine.list()).map((other) => other.id)).not.toContain(spec.id);
        },
        slow,
      );

      it(
        'has no address when it does not listen',
        async () => {
          await withWorkload(workload({ listens: false }), async ({ address }) =>
            expect(address).toBeUndefined(),
          );
        },
        slow,
      );

      it('removes and stops the absent without complaint', async () => {
        await world.engine.remove(`${world.installationId}-never`);
        await world.engine.stop(`${world.installationId}-never`);
        expect(await world.engine.observe(`${world.installationId}-never`)).toBeUndefined();
      });

      it(
        'leaves one that runs under an equal spec alone',
        async () => {
          const spec = workload({ env: { A: '1', B: new Secret('two') } });
          await withWorkload(spec, async (first) => {
            const again = await world.engine.ensure({ ...spec, env: { B: new Secret('two'), A: '1' } });
            expect(again).toEqual(first);
          });
        },
        slow,
      );

      it(
        'starts one whose spec differs anew, at the same port',
        async () => {
          const spec = workload({ env: { B: new Secret('two') } });
          await withWorkload(spec, async (first) => {
            const changed = await world.engine.ensure({ ...spec, env: { B: new Secret('three') } });
            expect(changed.specDigest).not.toBe(first.specDigest);
            expect(changed).toMatchObject({ state: 'running', restarts: 0, address: first.address });
          });
        },
        slow,
      );

      it(
        'keeps port and logs of one that is stopped',
        async () => {
          const spec = workload();
          await withWorkload(spec, async (first) => {
            await vi.waitFor(
              async () => expect(await logOf(world.engine, spec.id)).toContain('started'),
              waiting,
            );
            await world.engine.stop(spec.id);
            expect(await world.engine.observe(spec.id)).toMatchObject({
              state: 'stopped',
              address: first.address,
            });
            expect(await logOf(world.engine, spec.id)).toContain('started');
            expect(await world.engine.ensure(spec)).toMatchObject({
              state: 'running',
              address: first.address,
            });
          });
        },
        slow,
      );

      it(
        'gives workloads that start at once ports of their own',
        async () => {
          const specs = [1, 2, 3, 4].map(() => workload());
          try {
            const ensured = await Promise.all(specs.map((spec) => world.engine.ensure(spec)));
            expect(new Set(ensured.map((each) => each.address?.port)).size).toBe(specs.length);
          } finally {
            await Promise.all(specs.map((spec) => world.engine.remove(spec.id)));
          }
        },
        slow,
      );

      it(
        'lists by environment',
        async () => {
          const spec = workload({ labels: labels('filtered') });
          await withWorkload(spec, async () => {
            expect((await world.engine.list({ environmentId: 'filtered' })).map((each) => each.id)).toEqual([
              spec.id,
            ]);
            expect(await world.engine.list({ environmentId: 'other' })).toEqual([]);
          });
        },
        slow,
      );

      it(
        'survives the engine object that ensured it',
        async () => {
          const spec = workload();
          await withWorkload(spec, async (first) => {
            const restarted = await world.restarted();
            expect(await restarted.observe(spec.id)).toEqual(first);
            expect(await restarted.ensure(spec)).toEqual(first);
          });
        },
        slow,
      );

      it(
        'is out of reach for another installation',
        async () => {
          const spec = workload();
          await withWorkload(spec, async () => {
            const stranger = await world.stranger();
            expect(await stranger.list()).toEqual([]);
            expect(await stranger.observe(spec.id)).toBeUndefined();
            await stranger.stop(spec.id);
            await stranger.remove(spec.id);
            expect(await world.engine.observe(spec.id)).toMatchObject({ state: 'running' });
          });
        },
        slow,
      );

      it(
        'gives the last lines of its output',
        async () => {
          const spec = workload({ command: 'echo one\necho two\necho three\nexec sleep 1000' });
          await withWorkload(spec, async () => {
            await vi.waitFor(
              async () => expect(await logOf(world.engine, spec.id, 2)).toEqual(['two', 'three']),
              waiting,
            );
          });
        },
        slow,
      );

      it('refuses an artifact that is not there', async () => {
        const spec = workload({ artifact: 'never-built' });
        await expect(world.engine.ensure(spec)).rejects.toMatchObject({ code: 'artifact-missing' });
        expect(await world.engine.observe(spec.id)).toBeUndefined();
      });
    });

    describe('runs', () => {
      it(
        'returns exit code, output and tail',
        async () => {
          const lines: string[] = [];
          const result = await world.engine.run(
            oneOff({ command: 'echo one; echo two; exit 3', onOutput: (line) => lines.push(line) }),
          );
          expect(result).toMatchObject({ exitCode: 3, tail: ['one', 'two'] });
          expect(result.killedBy).toBeUndefined();
          expect(lines).toEqual(['one', 'two']);
        },
        slow,
      );

      it(
        'filters secrets from what it says',
        async () => {
          const env = { TOKEN: new Secret('very-secret-token') };
          const result = await world.engine.run(oneOff({ env, command: 'echo very-secret-token; exit 0' }));
          expect(result.tail).toEqual(['[redacted]']);
        },
        slow,
      );
    });

    describe('builds', () => {
      it(
        'builds once and finds the artifact from then on',
        async () => {
          const spec = building(await world.directory());
          const built = await world.engine.build(spec);
          expect(built).toMatchObject({ key: spec.key, cached: false });
          expect(await world.engine.build({ ...spec, hook: 'exit 1' })).toMatchObject({
            key: spec.key,
            cached: true,
          });
          expect(await world.engine.artifacts.find(spec.key)).toMatchObject({
            key: spec.key,
            builtAt: built.builtAt,
          });
          expect((await world.engine.artifacts.list()).map(({ key }) => key)).toContain(spec.key);
          await world.engine.artifacts.remove(spec.key);
          await world.engine.artifacts.remove(spec.key);
          expect(await world.engine.artifacts.find(spec.key)).toBeUndefined();
        },
        slow,
      );

      it(
        'fails with the last lines and without an artifact',
        async () => {
          const spec = building(await world.directory(), { hook: 'echo reason\nexit 4\necho never' });
          await expect(world.engine.build(spec)).rejects.toMatchObject({
            code: 'build-failed',
            tail: ['reason'],
          });
          expect(await world.engine.artifacts.find(spec.key)).toBeUndefined();
        },
        slow,
      );

      it('does nothing when aborted before', async () => {
        const spec = building(await world.directory(), { signal: AbortSignal.abort() });
        await expect(world.engine.build(spec)).rejects.toThrow();
        expect(await world.engine.artifacts.find(spec.key)).toBeUndefined();
      });
    });

    it(
      'builds, migrates and serves an application, its volume below it',
      async (context) => {
        if (!world.executes) context.skip('this engine runs nothing');
        const [source, volume] = [await world.directory(), await world.directory()];
        await mkdir(join(source, 'sub'));
        await writeFile(join(source, 'sub/server.js'), serverSource);
        const build = building(source, {
          hook: 'test -w /app\nnode -v >built.txt\ncat sub/server.js >server.js',
        });
        await world.engine.build(build);
        const mounts = [{ source: volume, at: '/app/var/uploads' }];
        const env = { GREETING: 'hello', TOKEN: new Secret('very-secret-token') };
        const common = { artifact: build.key, mounts, env, hosts: { 'database.internal': '127.0.0.1' } };
        const deploy =
          'touch /app/x 2>/dev/null && exit 9\npwd >var/uploads/migrated; grep -c database.internal /etc/hosts';
        const deployed = await world.engine.run(oneOff({ ...common, command: deploy }));
        expect(deployed).toMatchObject({ exitCode: 0, tail: ['1'] });
        const spec = workload({ ...common, command: 'exec node server.js' });
        await withWorkload(spec, async ({ address }) => {
          const answer = await vi.waitFor(() => fetchText(address), waiting);
          expect(JSON.parse(answer)).toMatchObject({
            greeting: 'hello',
            token: 'very-secret-token',
            migrated: '/app\n',
          });
        });
        await world.engine.artifacts.remove(build.key);
      },
      slow,
    );
  });
}

const waiting = { timeout: 15_000, interval: 50 };

const serverSource = `
const { readFileSync } = require('node:fs');
const body = () => JSON.stringify({
  greeting: process.env.GREETING, token: process.env.TOKEN, migrated: readFileSync('/app/var/uploads/migrated', 'utf8'),
});
require('node:http').createServer((request, response) => response.end(body())).listen(Number(process.env.PORT), '127.0.0.1');
`;

export async function logOf(engine: Engine, id: string, lines = 50): Promise<string[]> {
  const found: string[] = [];
  for await (const line of engine.logs(id, { lines })) found.push(line);
  return found;
}

/** With node:http: the global fetch of Node 20 can hang on a connection that is refused just then. */
export function fetchText(address: Workload['address']): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host: address?.host, port: address?.port, timeout: 2_000 }, (response) => {
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 2 s')));
    request.on('error', reject);
  });
}
