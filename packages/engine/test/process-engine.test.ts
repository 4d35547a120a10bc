import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Secret } from '@bough/domain/secret';
import { assertNothingLeft, processesOf } from '@bough/testkit/leaks';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { logOf } from '../src/contract.ts';
import { listGroups, probeHierarchies } from '../src/process/cgroup.ts';
import { createProcessWorld, type ProcessWorld } from './process-world.ts';
import { startOwner } from './processes/start-owner.ts';

let world: ProcessWorld;
beforeAll(async () => {
  world = await createProcessWorld();
});
afterEach(async () => {
  for (const { id } of await world.engine.list()) await world.engine.remove(id);
  await assertNothingLeft({ marker: world.installationId, path: world.home });
  expect(await readdir(join(world.home, 'engine/workloads')).catch(() => [])).toEqual([]);
  expect(await readdir(join(world.home, 'engine/runs')).catch(() => [])).toEqual([]);
  expect(await readdir(join(world.home, 'engine/ports')).catch(() => [])).toEqual([]);
  expect(await readdir(join(world.home, 'builds')).catch(() => [])).toEqual([]);
  expect(await listGroups(await probeHierarchies({ name: `bough-${world.installationId}` }))).toEqual([]);
});
afterAll(() => world.dispose());

const logged = (id: string, text: string) =>
  waitFor(`"${text}" in the log`, async () =>
    (await logOf(world.engine, id)).some((line) => line.includes(text)),
  );

describe('a workload', () => {
  it('survives SIGKILL of the process that ensured it and is removed by another', async () => {
    const id = `${world.installationId}-survivor`;
    const owner = await startOwner([world.home, world.installationId, 'ensure', id]);
    const ensured = JSON.parse((await owner.line('done')).slice('done '.length));
    await owner.kill();
    const another = await world.another();
    expect(await another.observe(id)).toMatchObject({
      state: 'running',
      restarts: 0,
      address: ensured.address,
    });
    await another.remove(id);
    expect(await another.observe(id)).toBeUndefined();
  });

  it('is running once, whenever the process that ensures it is killed', async () => {
    for (const afterMs of [5, 15, 25, 35, 45, 60, 80, 110]) {
      const id = `${world.installationId}-killed-${afterMs}`;
      const owner = await startOwner([world.home, world.installationId, 'ensure', id]);
      await owner.line('begins');
      await delay(afterMs);
      await owner.kill();
      const spec = world.workload({ id, listens: true });
      expect(await world.engine.ensure(spec)).toMatchObject({ state: 'running' });
      // The log keeper is a fork of the supervisor; so are, for an instant, the commands that it starts.
      await waitFor('one supervisor and its log keeper', async () => {
        const found = await processesOf({ marker: `supervisor.sh ${id}` });
        return found.filter(({ command }) => command.endsWith(`supervisor.sh ${id}`)).length === 2;
      });
      await world.engine.remove(id);
      await assertNothingLeft({ marker: id });
    }
  });

  it('is gone, whenever the process that removes it is killed and remove is called again', async () => {
    for (const afterMs of [1, 10, 25, 40, 70, 100]) {
      const spec = world.workload({ listens: true });
      await world.engine.ensure(spec);
      const owner = await startOwner([world.home, world.installationId, 'remove', spec.id]);
      await owner.line('begins');
      await delay(afterMs);
      await owner.kill();
      const restarted = await world.another();
      await restarted.remove(spec.id);
      expect(await restarted.observe(spec.id)).toBeUndefined();
      await assertNothingLeft({ marker: spec.id });
    }
  });

  it('is started again when it exits, and says so', async () => {
    const spec = world.workload({ command: 'echo up; sleep 0.1; exit 7' });
    await world.engine.ensure(spec);
    await logged(spec.id, 'exited with code 7, starting it again in 1 s (restart 1)');
    await waitFor('a restart', async () => ((await world.engine.observe(spec.id))?.restarts ?? 0) >= 2);
    expect(await world.engine.observe(spec.id)).toMatchObject({ lastExitCode: 7 });
    expect(
      (await logOf(world.engine, spec.id)).filter((line) => line === 'up').length,
    ).toBeGreaterThanOrEqual(2);
  });

  it('gets its stop signal, also behind a shell, and time to obey', async () => {
    const volume = await world.directory();
    const mounts = [{ source: volume, at: '/data' }];
    const program =
      "process.on('SIGINT', () => setTimeout(() => { require('fs').writeFileSync('/data/bye', ''); process.exit() }, 300)); console.log('up'); setInterval(() => {}, 1000)";
    const spec = world.workload({
      ...{ toolchains: [world.toolchain], mounts, stopSignal: 'SIGINT', stopGraceMs: 10_000 },
      command: `node -e "${program}"\necho unreachable >/data/unreachable`,
    });
    await world.engine.ensure(spec);
    await logged(spec.id, 'up');
    await world.engine.remove(spec.id);
    expect(await readdir(volume)).toEqual(['bye']);
  });

  it('is killed after the grace time when it ignores the signal, with daemons that it started', async () => {
    const command =
      "trap '' TERM\n(setsid sh -c 'trap \"\" TERM; sleep 1003; sleep 1003' >/dev/null 2>&1 &)\necho up\nwhile :; do sleep 1; done";
    const spec = world.workload({ command, stopGraceMs: 400 });
    await world.engine.ensure(spec);
    await logged(spec.id, 'up');
    await waitFor('the daemon', async () => (await processesOf({ marker: 'sleep 1003' })).length > 0);
    const startedAt = performance.now();
    await world.engine.remove(spec.id);
    expect(performance.now() - startedAt).toBeGreaterThan(350);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(await processesOf({ marker: 'sleep 1003' })).toEqual([]);
  });

  it('is still listed and removed when its files are lost', async () => {
    const spec = world.workload({ listens: true });
    const { address } = await world.engine.ensure(spec);
    // Its supervisor may write a file meanwhile.
    await rm(join(world.home, 'engine'), { recursive: true, maxRetries: 5 });
    expect(await world.engine.list()).toMatchObject([
      { id: spec.id, labels: spec.labels, state: 'running', address },
    ]);
    await world.engine.remove(spec.id);
    expect(await world.engine.list()).toEqual([]);
  });

  it('is not started for ever when its files are lost: its supervisor ends with it', async () => {
    const spec = world.workload({ command: 'sleep 1005; exit 1' });
    await world.engine.ensure(spec);
    await waitFor('it to run', async () => (await processesOf({ marker: 'sleep 1005' })).length > 0);
    await rm(join(world.home, 'engine'), { recursive: true, maxRetries: 5 });
    await waitFor('it to be killed, and everything to end', async () => {
      for (const { pid } of await processesOf({ marker: 'sleep 1005' })) sendKill(pid);
      return (await processesOf({ marker: `BOUGH_WORKLOAD=${spec.id}` })).length === 0;
    });
    await world.engine.remove(spec.id);
  });

  it('is known as stopped when everything of it was killed, and started again at its port', async () => {
    const spec = world.workload({ listens: true });
    const { address } = await world.engine.ensure(spec);
    // Again and again: it is being started, and what its supervisor forks meanwhile would live on.
    await waitFor('everything of it to be killed', async () => {
      const left = await processesOf({ marker: `BOUGH_WORKLOAD=${spec.id}` });
      for (const { pid } of left) sendKill(pid);
      return left.length === 0;
    });
    await waitFor('the end', async () => (await world.engine.observe(spec.id))?.state === 'stopped');
    expect(await world.engine.ensure(spec)).toMatchObject({ state: 'running', address });
  });

  it('dies with its supervisor', async () => {
    const spec = world.workload({ command: 'sleep 1004; sleep 1004' });
    await world.engine.ensure(spec);
    await waitFor('it to run', async () => (await processesOf({ marker: 'sleep 1004' })).length > 0);
    const [supervisor] = await processesOf({ marker: `supervisor.sh ${spec.id}` });
    process.kill(supervisor?.pid ?? 0, 'SIGKILL');
    await waitFor('it to end', async () => (await processesOf({ marker: 'sleep 1004' })).length === 0);
  });

  it('shows no secret on a command line or in an environment outside its sandbox', async () => {
    const secret = `hidden-${Math.random()}`;
    const spec = world.workload({ env: { TOKEN: new Secret(secret) }, command: 'echo up; exec sleep 1005' });
    await world.engine.ensure(spec);
    await logged(spec.id, 'up');
    const carriers = await processesOf({ marker: secret });
    expect(carriers.map(({ command }) => command)).toEqual(['sleep 1005']);
    for (const { command } of await processesOf({ marker: world.installationId }))
      expect(command).not.toContain(secret);
  });

  it('finds out that its port was taken while it did not run, and gets another', async () => {
    const spec = world.workload({ listens: true, command: 'sleep 0.5; exit 1' });
    const { address } = await world.engine.ensure(spec);
    const port = address?.port ?? 0;
    const thief = await listen(port);
    try {
      await logged(spec.id, `port ${port} is taken by another process on this machine`);
      expect(await world.engine.observe(spec.id)).toMatchObject({ state: 'stopped' });
      const moved = await world.engine.ensure(spec);
      expect(moved).toMatchObject({ state: 'running' });
      expect(moved.address?.port).not.toBe(port);
    } finally {
      thief.close();
    }
  });

  it('keeps its log within bounds, and following it goes on in the next one', async () => {
    const small = await world.another({ logBytes: 64 * 1024 });
    const command =
      'sleep 0.3; i=0; while [ $i -lt 6000 ]; do echo "line $i of the log of this workload"; i=$((i+1)); done; echo end; exec sleep 1000';
    const spec = world.workload({ command });
    await small.ensure(spec);
    const end = new AbortController();
    const followed: string[] = [];
    for await (const line of small.logs(spec.id, { lines: 10, follow: true, signal: end.signal })) {
      followed.push(line);
      if (line === 'end') end.abort();
    }
    const directory = join(world.home, 'engine/workloads', spec.id);
    const sizes = await Promise.all(
      ['output.log', 'output.log.1'].map((name) =>
        waitFor(name, async () => (await readFile(join(directory, name))).length),
      ),
    );
    expect(Math.max(...sizes)).toBeLessThanOrEqual(64 * 1024 + 4096);
    expect(followed.at(-1)).toBe('end');
    expect((await logOf(small, spec.id, 3)).at(-1)).toBe('end');
  });

  it('refuses a mount over a symbolic link of the application', async () => {
    const [source, volume, outside] = [
      await world.directory(),
      await world.directory(),
      await world.directory(),
    ];
    await symlink(outside, join(source, 'var'));
    const build = world.building({ source });
    await world.engine.build(build);
    const spec = world.workload({
      artifact: build.key,
      mounts: [{ source: volume, at: '/app/var/uploads' }],
    });
    await expect(world.engine.ensure(spec)).rejects.toMatchObject({ code: 'mount-point-blocked' });
    expect(await readdir(outside)).toEqual([]);
    await world.engine.artifacts.remove(build.key);
  });
});

describe('a sandbox', () => {
  it('shows nothing of Bough, the operator, the machine or other environments', async () => {
    const [own, others] = [await world.directory(), await world.directory()];
    await writeFile(join(others, 'private'), '');
    const checks = [
      ...[
        `[ ! -e ${world.home} ]`,
        `[ ! -e ${others} ]`,
        '[ ! -e /root/.bashrc ]',
        '[ ! -e /work ]',
        '[ ! -e /sys/fs ]',
      ],
      ...['[ ! -e /etc/shadow ]', '[ ! -e /etc/ssl/private ]', '[ ! -e /var/lib ]', '[ -z "$(ls -A /tmp)" ]'],
      ...[
        '[ "$(ls -d /proc/[0-9]* | wc -l)" -lt 8 ]',
        '[ "$(id -u)" = 1000 ]',
        '! touch /x /usr/x /etc/x 2>/dev/null',
      ],
      ...[
        '! env | grep -q ^BOUGH',
        '! env | grep -q SSH',
        '! mount -t tmpfs none /tmp 2>/dev/null',
        'touch /tmp/x ~/x /data/x',
      ],
      ...['grep -q "^CapEff:.0*$" /proc/self/status', 'grep -q "^NoNewPrivs:.1$" /proc/self/status'],
      '[ "$(stat -c %U /data/x)" = app ]',
      '[ -z "$(find /proc/sys /proc/fs /proc/irq -type f -writable 2>/dev/null)" ]',
      '! unshare -Ur true 2>/dev/null',
    ];
    const command = checks
      .map((check) => `${check} || echo 'not so: ${check.replaceAll("'", '')}'`)
      .join('\n');
    const result = await world.engine.run(world.oneOff(command, { mounts: [{ source: own, at: '/data' }] }));
    expect(result.tail).toEqual([]);
    expect(existsSync(join(own, 'x'))).toBe(true);
  });

  it('cannot pose as another workload', async () => {
    const spec = world.workload({
      command: `exec env BOUGH_INSTALLATION=${world.installationId} BOUGH_WORKLOAD=other BOUGH_STATE=/x BOUGH_ROLE=web BOUGH_NAME=n BOUGH_ENVIRONMENT=1 sleep 1006`,
    });
    await world.engine.ensure(spec);
    await waitFor('it to run', async () => (await processesOf({ marker: 'sleep 1006' })).length > 0);
    expect((await world.engine.list()).map(({ id }) => id)).toEqual([spec.id]);
  });

  it('is found to work by entering one', async () => {
    expect(await world.engine.probeIsolation()).toEqual({ ok: true });
    const none = {
      resolve: () => world.engine.resolve('cobol'),
      probe: async () => 'missing' as const,
      list: async () => [],
    };
    const without = await world.another({
      toolchain: { ...none, resolve: async () => ({ ...(await none.resolve()), ...broken }) },
    });
    expect(await without.probeIsolation()).toMatchObject({ ok: false, reason: expect.stringMatching(/.+/) });
  });
});

const broken = {
  name: 'bubblewrap',
  prefix: '',
  bin: [],
  libraryPath: [],
  roots: [],
  env: {},
  source: 'system' as const,
};

describe('limits', () => {
  it('kills what uses too much memory and says so', async (context) => {
    if (!world.engine.capabilities().limits.includes('memory'))
      context.skip('no memory control group can be made here');
    const limits = { memoryBytes: 64 * 1024 * 1024, pids: 50, cpus: 1 };
    const hungry = 'node -e "const all = []; for (;;) all.push(Buffer.alloc(1e6, 1))"';
    const common = { toolchains: [world.toolchain], limits };
    expect(await world.engine.run(world.oneOff(hungry, common))).toMatchObject({
      exitCode: 137,
      killedBy: 'memory',
    });
    const spec = world.workload({ ...common, command: hungry });
    await world.engine.ensure(spec);
    await logged(spec.id, 'was killed because it used more memory than its limit');
    expect(await world.engine.observe(spec.id)).toMatchObject({ lastExitCode: 137 });
  });

  it('bounds the number of processes', async (context) => {
    if (!world.engine.capabilities().limits.includes('pids'))
      context.skip('no pids control group can be made here');
    const limits = { memoryBytes: 256 * 1024 * 1024, pids: 20, cpus: 1 };
    const command = 'i=0; while [ $i -lt 60 ]; do sleep 1007 & i=$((i+1)); done; sleep 1';
    const result = await world.engine.run(world.oneOff(command, { limits }));
    expect(result.exitCode).not.toBe(0);
    expect(result.tail.join()).toContain('fork');
  });

  it('bounds the share of a core', async (context) => {
    if (!world.engine.capabilities().limits.includes('cpus'))
      context.skip('no cpu control group can be made here');
    const limits = { memoryBytes: 256 * 1024 * 1024, pids: 50, cpus: 0.2 };
    const program =
      'const end = Date.now() + 1500; while (Date.now() < end); console.log(process.cpuUsage().user / 1e6)';
    const result = await world.engine.run(
      world.oneOff(`node -e "${program}"`, { toolchains: [world.toolchain], limits }),
    );
    expect(Number(result.tail[0])).toBeLessThan(0.8);
  });
});

describe('a run', () => {
  it('ends at its deadline with everything that it started', async () => {
    const startedAt = performance.now();
    const command = '(setsid sleep 1008 &) ; echo before; sleep 1008';
    const result = await world.engine.run(world.oneOff(command, { timeoutMs: 500 }));
    expect(result).toMatchObject({ exitCode: 137, killedBy: 'timeout', tail: ['before'] });
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    expect(await processesOf({ marker: 'sleep 1008' })).toEqual([]);
  });

  it('ends within a second of its abort', async () => {
    const abort = new AbortController();
    const running = world.engine.run(
      world.oneOff("trap '' TERM; echo up; sleep 1009; sleep 1009", {
        signal: abort.signal,
        onOutput: () => abort.abort(),
      }),
    );
    const startedAt = performance.now();
    expect(await running).toMatchObject({ killedBy: 'abort' });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(await processesOf({ marker: 'sleep 1009' })).toEqual([]);
  });

  it('dies with the process that started it, and the next engine removes its traces', async () => {
    const owner = await startOwner([world.home, world.installationId, 'run', 'unused']);
    await waitFor('it to run', async () => (await processesOf({ marker: 'sleep 1001' })).length > 0, {
      timeoutMs: 20_000,
    });
    await owner.kill();
    await waitFor('it to die', async () => (await processesOf({ marker: 'sleep 1001' })).length === 0);
    expect(await readdir(join(world.home, 'engine/runs'))).toHaveLength(1);
    await world.another();
    expect(await readdir(join(world.home, 'engine/runs'))).toEqual([]);
  });

  it('cuts lines of any length and keeps the last fifty', async () => {
    const command =
      'node -e "process.stdout.write(\'x\'.repeat(3e6)); for (let i = 0; i < 100; i++) console.log(i)"';
    let longest = 0;
    const onOutput = (line: string) => {
      longest = Math.max(longest, line.length);
    };
    const result = await world.engine.run(world.oneOff(command, { toolchains: [world.toolchain], onOutput }));
    expect(longest).toBe(16 * 1024);
    expect(result.tail).toHaveLength(50);
    expect(result.tail.at(-1)).toBe('99');
  });
});

describe('a build', () => {
  it('copies the source without following its links and leaves it as it was', async () => {
    const [source, outside] = [await world.directory(), await world.directory()];
    await writeFile(join(outside, 'private'), 'private');
    await symlink(join(outside, 'private'), join(source, 'link'));
    await symlink(outside, join(source, 'folder'));
    await mkdir(join(source, '.git'));
    await writeFile(join(source, 'run.sh'), 'echo ok', { mode: 0o755 });
    const hook = 'cat link && exit 1; echo x >folder/x && exit 1; ./run.sh >out; ! [ -e .git ]';
    const spec = world.building({ source, hook });
    await world.engine.build({
      ...spec,
      hook: hook.replaceAll('; ', '\n').replaceAll('cat link &&', 'cat link 2>/dev/null &&'),
    });
    expect(await readdir(source)).toEqual(['.git', 'folder', 'link', 'run.sh']);
    expect(await readdir(outside)).toEqual(['private']);
    expect(await readFile(join(world.home, 'artifacts', spec.key, 'app/out'), 'utf8')).toBe('ok\n');
    await world.engine.artifacts.remove(spec.key);
  });

  it('ends within a second of its abort and leaves nothing', async () => {
    const abort = new AbortController();
    const source = await world.directory();
    const hook = 'echo up\n(setsid sleep 1010 &)\nmkdir -p locked/in\nchmod 555 locked\nsleep 1010';
    const running = world.engine.build(
      world.building({
        source,
        hook,
        signal: abort.signal,
        onOutput: () => setTimeout(() => abort.abort(), 100),
      }),
    );
    const startedAt = performance.now();
    await expect(running).rejects.toThrow();
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(await processesOf({ marker: 'sleep 1010' })).toEqual([]);
  });

  it('fails at its deadline and out of memory with a message that says so', async (context) => {
    const source = await world.directory();
    const late = world.building({ source, hook: 'echo waiting\nsleep 1011', timeoutMs: 300 });
    await expect(world.engine.build(late)).rejects.toMatchObject({
      code: 'build-timeout',
      tail: ['waiting'],
    });
    if (!world.engine.capabilities().limits.includes('memory'))
      context.skip('no memory control group can be made here');
    const limits = { memoryBytes: 64 * 1024 * 1024, pids: 50, cpus: 1 };
    const hook = 'node -e "const all = []; for (;;) all.push(Buffer.alloc(1e6, 1))"';
    const hungry = world.building({ source, hook, limits, toolchains: [world.toolchain] });
    await expect(world.engine.build(hungry)).rejects.toMatchObject({ code: 'build-out-of-memory' });
  });

  it('is done once when two processes want the same key', async () => {
    const [source, key] = [await world.directory(), `${world.installationId}-twice`];
    const args = [
      world.home,
      world.installationId,
      'build',
      key,
      source,
      'echo hook runs\nsleep 0.5\necho x >out',
    ];
    const owners = await Promise.all([startOwner(args), startOwner(args)]);
    const done = await Promise.all(owners.map((owner) => owner.line('done')));
    const cached = done.map((line) => JSON.parse(line.slice('done '.length)).cached);
    expect(cached.sort()).toEqual([false, true]);
    await Promise.all(owners.map((owner) => owner.kill()));
    await world.engine.artifacts.remove(key);
  });

  it('is begun anew when its process was killed, and nothing of the first is left', async () => {
    const [source, key] = [await world.directory(), `${world.installationId}-again`];
    const owner = await startOwner([
      world.home,
      world.installationId,
      'build',
      key,
      source,
      'echo up\nsleep 1012',
    ]);
    await owner.line('up');
    await owner.kill();
    const another = await world.another();
    expect(await another.build(world.building({ source, key, hook: 'echo fine' }))).toMatchObject({
      cached: false,
    });
    await another.artifacts.remove(key);
  });

  it('keeps what a shared build caches and throws away what others do', async () => {
    const source = await world.directory();
    const cache = { key: `${world.installationId}-cache`, mode: 'shared' as const };
    const read = async (hook: string, mode: 'shared' | 'throwaway') => {
      const lines: string[] = [];
      const spec = world.building({
        source,
        hook,
        cache: { ...cache, mode },
        onOutput: (line) => lines.push(line),
      });
      await world.engine.build(spec).catch(() => undefined);
      await world.engine.artifacts.remove(spec.key);
      return lines;
    };
    expect(await read('ls $PLATFORM_CACHE_DIR; echo 1 >/cache/one', 'shared')).toEqual([]);
    expect(await read('ls /cache; echo 2 >/cache/two; rm /cache/one', 'throwaway')).toEqual(['one']);
    expect(await read('ls /cache; echo 3 >/cache/three; exit 1', 'shared')).toEqual(['one']);
    expect(await read('ls /cache; echo 4 >/cache/four', 'shared')).toEqual(['one']);
    expect(await read('ls /cache', 'throwaway')).toEqual(['four', 'one']);
  });

  it('sees the operator’s registry and certificates', async () => {
    const ca = join(await world.directory(), 'corporate.pem');
    await writeFile(ca, 'certificate');
    const buildEnvironment = {
      ...{ env: { HTTPS_PROXY: 'http://proxy:3128', NODE_EXTRA_CA_CERTS: ca }, caFiles: [ca] },
      npmrc: 'registry=https://registry.example.com/\n',
    };
    const engine = await world.another({ buildEnvironment });
    const hook = 'echo $HTTPS_PROXY\ncat $NODE_EXTRA_CA_CERTS; echo\nnpm config get registry';
    const lines: string[] = [];
    const onOutput = (line: string) => lines.push(line);
    const source = await world.directory();
    const spec = world.building({ source, hook, toolchains: [world.toolchain], onOutput });
    await engine.build(spec);
    expect(lines).toEqual(['http://proxy:3128', 'certificate', 'https://registry.example.com/']);
    await engine.artifacts.remove(spec.key);
  });
});

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

describe('as an ordinary user', () => {
  it('builds, starts, survives and removes', async (context) => {
    if (process.getuid?.() !== 0) context.skip('these tests run as an ordinary user already');
    const user = { uid: 65_534, gid: 65_534 };
    const [home, source] = [await world.directory(), await world.directory()];
    await chown(home, user.uid, user.gid);
    await chmod(join(home, '..'), 0o711);
    const id = `${world.installationId}-nobody`;
    const as = (verb: string, ...more: string[]) =>
      startOwner([home, world.installationId, verb, id, ...more], user);
    const built = await as('build', source, 'id -un\ntouch made');
    expect(await built.line('app')).toBe('app');
    await built.line('done');
    await built.kill();
    expect((await stat(join(home, 'artifacts', id, 'app/made'))).uid).toBe(user.uid);
    const forking = await as('forks');
    const forked = JSON.parse((await forking.line('done')).slice('done '.length));
    expect(forked).toMatchObject({ exitCode: 2, tail: [expect.stringContaining('Cannot fork')] });
    await forking.kill();
    const owner = await as('ensure');
    await owner.line('done');
    await owner.kill();
    const marker = `BOUGH_WORKLOAD=${id}`;
    const found = await processesOf({ marker });
    expect(found.length).toBeGreaterThanOrEqual(4);
    for (const { pid } of found) expect((await stat(`/proc/${pid}`)).uid).toBe(user.uid);
    const remover = await as('remove');
    await remover.line('done');
    await remover.kill();
    await assertNothingLeft({ marker });
  });
});

/** It may have ended by itself. */
function sendKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
