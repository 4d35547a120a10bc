import { isAbsolute, normalize } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { BaseSystem } from './base-system.ts';

/** A directory on this machine's disk, or memory that goes away with the sandbox. */
export type Place = { readonly directory: string } | { readonly memoryBytes: number };

export interface SandboxSpec {
  readonly base: BaseSystem;
  /** Where `stageFiles` put `hosts`, `passwd`, `group`, `empty` and `command`. */
  readonly stage: string;
  readonly env: Readonly<Record<string, string>>;
  /** Directories and single files seen read-only where they are on the machine: toolchains, CA bundles. */
  readonly shown: readonly string[];
  /** Single files seen read-only under another name. */
  readonly files?: readonly { readonly source: string; readonly at: string }[];
  readonly app?: { readonly source: string; readonly writable: boolean } | undefined;
  readonly mounts: readonly { readonly source: string; readonly at: string; readonly readOnly?: boolean }[];
  readonly home: Place;
  readonly temporary: Place;
  readonly sharedMemoryBytes: number;
  /** Absent: the machine's. `own`: a loopback device and nothing else. */
  readonly network?: 'own' | undefined;
}

/** Inside, everybody is this ordinary user; outside, files belong to whoever runs Bough. */
export const sandboxUser = { name: 'app', uid: 1000, gid: 1000, home: '/home/app' } as const;

const commandFile = '/run/bough/command';
export const npmrcFile = '/run/bough/npmrc';

/**
 * Bubblewrap's arguments for a spec, as data. They hold the variables with their secrets, so they are passed through a
 * file descriptor (`--args`) and never on a command line, which every user of the machine can read.
 *
 * The order matters: bubblewrap mounts one after the other, so what comes later lies over what came before.
 */
export function sandboxArguments(spec: SandboxSpec): string[] {
  return [
    ...namespaces,
    ...(spec.network === 'own' ? ['--unshare-net'] : []),
    ...variables(spec.env),
    ...baseSystem(spec),
    ...kernelFiles(spec),
    ...place(spec.temporary, '/tmp'),
    ...place(spec.home, sandboxUser.home),
    ...spec.shown.flatMap((path) => ['--ro-bind', path, path]),
    ...(spec.files ?? []).flatMap(({ source, at }) => ['--ro-bind', source, at]),
    ...spec.base.hiddenFiles.flatMap((path) => ['--ro-bind', `${spec.stage}/empty`, path]),
    ...(spec.app ? [spec.app.writable ? '--bind' : '--ro-bind', spec.app.source, '/app'] : ['--dir', '/app']),
    ...volumes(spec),
    // The root itself is memory; unless it is closed, a process can fill it unseen.
    ...['--remount-ro', '/'],
    ...['--chdir', spec.app ? '/app' : '/'],
  ];
}

const namespaces = [
  '--die-with-parent',
  '--new-session',
  '--unshare-user',
  ...['--uid', String(sandboxUser.uid), '--gid', String(sandboxUser.gid)],
  '--unshare-pid',
  '--unshare-ipc',
  '--unshare-uts',
  '--unshare-cgroup-try',
  ...['--hostname', 'app'],
  ...['--cap-drop', 'ALL'],
];

function variables(env: SandboxSpec['env']): string[] {
  const args = ['--clearenv'];
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || value.includes('\0')) throw invalidVariable(name);
    args.push('--setenv', name, value);
  }
  return args;
}

function baseSystem({ base, stage }: SandboxSpec): string[] {
  return [
    ...['--ro-bind', '/usr', '/usr'],
    ...base.links.flatMap(({ at, target }) => ['--symlink', target, at]),
    ...base.directories.flatMap((path) => ['--ro-bind', path, path]),
    ...base.configuration.flatMap((path) => ['--ro-bind', path, path]),
    ...['hosts', 'passwd', 'group'].flatMap((name) => ['--ro-bind', `${stage}/${name}`, `/etc/${name}`]),
  ];
}

function kernelFiles({ base, stage, sharedMemoryBytes }: SandboxSpec): string[] {
  return [
    ...['--proc', '/proc', '--dev', '/dev'],
    ...base.kernelReadOnly.flatMap((path) => ['--ro-bind', path, path]),
    ...base.kernelHidden.flatMap((path) => ['--ro-bind', `${stage}/empty`, path]),
    ...['--size', String(sharedMemoryBytes), '--tmpfs', '/dev/shm'],
    ...['--size', String(16 * 1024 * 1024), '--tmpfs', '/run'],
    ...['--ro-bind', `${stage}/command`, commandFile],
    ...['--symlink', '/tmp', '/var/tmp'],
  ];
}

function place(where: Place, at: string): string[] {
  return 'directory' in where
    ? ['--bind', where.directory, at]
    : ['--size', String(where.memoryBytes), '--tmpfs', at];
}

/** Outer ones first, so that a volume may lie inside another. */
function volumes({ mounts }: SandboxSpec): string[] {
  return [...mounts]
    .sort((left, right) => left.at.length - right.at.length)
    .flatMap((mount) => [mount.readOnly ? '--ro-bind' : '--bind', mount.source, mountPoint(mount.at)]);
}

const systemPaths = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/etc',
  '/proc',
  '/dev',
  '/sys',
  '/run/bough',
];

/** Where a volume may be seen. Throws when it would lie over the system or over the whole application. */
export function mountPoint(at: string): string {
  const path = normalize(at).replace(/(.)\/+$/, '$1');
  const isSystem = systemPaths.some((system) => path === system || path.startsWith(`${system}/`));
  if (isAbsolute(path) && path !== '/' && path !== '/app' && !isSystem && !path.includes('\0')) return path;
  throw new BoughError({
    code: 'mount-refused',
    message: `A volume cannot be mounted at "${at}".`,
    hint: 'Choose a directory below /app, or an absolute path outside the system directories.',
  });
}

function invalidVariable(name: string): BoughError {
  return new BoughError({
    code: 'variable-invalid',
    message: `The variable ${JSON.stringify(name.slice(0, 80))} cannot be given to a process.`,
    hint: 'Names are letters, digits and underscores, not starting with a digit; values hold no NUL byte.',
  });
}
