import { lstat, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { type ResolvedToolchain, type Toolchain, toolchainEnvironment } from '@bough/toolchain/toolchain';
import type { EnvironmentVariables, Mount } from '../engine.ts';
import { reveal } from '../variables.ts';
import { mountPoint, sandboxUser } from './sandbox.ts';

export async function resolveToolchains(
  toolchain: Toolchain,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ResolvedToolchain[]> {
  return Promise.all(names.map((name) => toolchain.resolve(name, { signal })));
}

/** What a process inside finds in its environment: nothing of Bough's own, the toolchains', then the spec's. */
export function insideVariables(
  toolchains: readonly ResolvedToolchain[],
  env: EnvironmentVariables,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    ...{ HOME: sandboxUser.home, USER: sandboxUser.name, LOGNAME: sandboxUser.name },
    ...{ LANG: 'C.UTF-8', SHELL: '/bin/sh', TMPDIR: '/tmp' },
    ...toolchainEnvironment(toolchains),
    ...extra,
    ...reveal(env),
  };
}

/** The directories to show for the toolchains. Throws where one would show Bough's own home with it. */
export function shownRoots(toolchains: readonly ResolvedToolchain[], home: string): string[] {
  const roots = [...new Set(toolchains.flatMap((tool) => tool.roots))].filter(
    (root) => !root.startsWith('/usr/'),
  );
  for (const root of roots) {
    if (`${home}/`.startsWith(root === '/' ? root : `${root}/`)) throw exposed(root);
  }
  return roots;
}

/** Checks that every volume is there, and that its mount point below /app exists in the artifact. */
export async function prepareMounts(app: string | undefined, mounts: readonly Mount[]): Promise<void> {
  for (const mount of mounts) {
    const at = mountPoint(mount.at);
    const source = await stat(mount.source).catch(() => undefined);
    if (!source?.isDirectory()) throw missingVolume(mount);
    if (app !== undefined && at.startsWith('/app/')) await prepareMountPoint(app, at.slice('/app/'.length));
  }
}

/**
 * The artifact is mounted read-only, so bubblewrap cannot make the directory over which a volume is bound. It is made
 * here, empty, once for all environments that share the artifact. The artifact comes from a build that we do not
 * trust: a symbolic link on the way would make us create directories outside it, so it is refused.
 */
async function prepareMountPoint(app: string, path: string): Promise<void> {
  let directory = app;
  for (const part of path.split('/')) {
    directory = join(directory, part);
    await mkdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    if (!(await lstat(directory)).isDirectory()) throw blockedMountPoint(path);
  }
}

function missingVolume(mount: Mount): BoughError {
  return new BoughError({
    code: 'volume-missing',
    message: `The volume to mount at ${mount.at} is not there: ${mount.source} is not a directory.`,
    hint: 'Redeploy the environment, which makes its volumes again.',
    retryable: true,
  });
}

function blockedMountPoint(path: string): BoughError {
  return new BoughError({
    code: 'mount-point-blocked',
    message: `The mount "${path}" cannot be bound: the application has a file or a symbolic link of that name.`,
    hint: `Remove "${path}" from the repository, or let the build hook replace it by a directory.`,
  });
}

function exposed(root: string): BoughError {
  return new BoughError({
    code: 'toolchain-exposes-home',
    message: `A toolchain lies in ${root}, which also holds Bough's own data, so a sandbox cannot show it.`,
    hint: 'Install the toolchain elsewhere, or set BOUGH_HOME to another directory.',
  });
}
