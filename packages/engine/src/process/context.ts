import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { Toolchain } from '@bough/toolchain/toolchain';
import type { BaseSystem } from './base-system.ts';
import type { BuildEnvironment } from './build-environment.ts';
import type { Hierarchy } from './cgroup.ts';
import type { EgressOptions } from './door/egress.ts';
import type { Bubblewrap } from './launch.ts';

/** The part of a logger that is used here; pino's fits. */
export interface EngineLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What all parts of the engine work with. */
export interface EngineContext {
  readonly home: string;
  readonly installationId: string;
  readonly toolchain: Toolchain;
  readonly log: EngineLog;
  readonly buildEnvironment: BuildEnvironment;
  readonly base: BaseSystem;
  readonly hierarchies: readonly Hierarchy[];
  readonly logBytes: number;
  /** How builds of untrusted code look up and judge addresses; the default is the public internet. */
  readonly egress?: Omit<EgressOptions, 'directory'> | undefined;
}

/** Remembered once it was found; a machine that gets bubblewrap later needs no restart of Bough. */
export async function findBubblewrap(context: Pick<EngineContext, 'toolchain'>): Promise<Bubblewrap> {
  const known = remembered.get(context.toolchain);
  if (known) return known;
  const resolved = await context.toolchain.resolve('bubblewrap');
  const [directory] = resolved.bin;
  if (directory === undefined) throw noBubblewrap();
  const found = {
    file: join(directory, 'bwrap'),
    libraries: resolved.libraryPath.join(':'),
    args: knowsDisableUserns(resolved.version) ? ['--disable-userns'] : [],
  };
  remembered.set(context.toolchain, found);
  return found;
}

/**
 * Since 0.8. In a user namespace of its own a process would be root again, with more of the kernel to attack, and under
 * a Bough that runs as root it could mount the control groups that limit it.
 */
function knowsDisableUserns(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 0 || minor >= 8;
}

const remembered = new WeakMap<Toolchain, Bubblewrap>();

function noBubblewrap(): BoughError {
  return new BoughError({
    code: 'isolation-unavailable',
    message: 'bubblewrap, without which nothing can be isolated, is not on this machine.',
    hint: 'Install it (`apt install bubblewrap`) and look again with `bough doctor`.',
  });
}
