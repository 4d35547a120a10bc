import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BoughError } from '@bough/domain/bough-error';
import { type Toolchain, toolchainEnvironment } from '@bough/toolchain/toolchain';

export type CommandLine = readonly [string, ...string[]];

const run = promisify(execFile);

/** Turns a command line into one that PostgreSQL agrees to run under. A short one ends with us, a server need not. */
export type Wrap = (command: CommandLine, lifetime: 'outlives-us' | 'ends-with-us') => CommandLine;

/**
 * PostgreSQL refuses to run as root. In a user namespace of its own it is uid 1000, while its files stay root's outside,
 * so that a home directory of mode 0700 needs no other owner. For anybody but root this changes nothing.
 */
export async function unprivileged(toolchain: Toolchain, signal?: AbortSignal): Promise<Wrap> {
  if (process.getuid?.() !== 0) return (command) => command;
  const bubblewrap = await toolchain.resolve('bubblewrap', { signal });
  const bwrap = join(bubblewrap.bin[0] ?? bubblewrap.prefix, 'bwrap');
  const namespace = [
    '--unshare-user',
    '--uid',
    '1000',
    '--gid',
    '1000',
    '--bind',
    '/',
    '/',
    '--dev-bind',
    '/dev',
    '/dev',
  ];
  await proveNamespaces(bwrap, namespace, toolchainEnvironment([bubblewrap]));
  return (command, lifetime) => {
    const ends = lifetime === 'ends-with-us' ? ['--die-with-parent'] : [];
    return [bwrap, ...namespace, ...ends, '--', ...command];
  };
}

async function proveNamespaces(bwrap: string, namespace: string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await run(bwrap, [...namespace, '--', '/bin/true'], { env, timeout: 10_000 });
  } catch (cause) {
    throw new BoughError({
      code: 'namespaces-unavailable',
      message: 'Bough runs as root, PostgreSQL may not, and this machine lets nobody make a user namespace.',
      hint: 'Run Bough as an ordinary user, or set DATABASE_URL to a server of yours. In a container, allow user namespaces.',
      cause,
    });
  }
}
