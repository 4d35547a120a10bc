import { mkdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import { initPool } from '@bough/storage/pool/init-pool';
import { poolPlaces } from '@bough/storage/pool/pool';
import { runTool, type ToolPlaces } from '@bough/storage/run-tool';
import type { Toolchain } from '@bough/toolchain/toolchain';
import type { Surroundings } from './benchmark.ts';

export type DiskKind = 'btrfs' | 'xfs' | 'as it is';

/** A home on a file system of its own, made as `bough storage init` makes it. */
export interface Disk {
  readonly kind: DiskKind;
  readonly home: string;
  /** What all of it takes, once it is written out. */
  usedBytes(): Promise<number>;
  /** The same, once what was removed is free: file systems go on with that in the background, and would be measured instead. */
  settledBytes(): Promise<number>;
  remove(): Promise<void>;
}

export async function makeDisk(
  kind: DiskKind,
  options: { directory: string; sizeBytes: number; toolchain: Toolchain },
  { shutdown }: Surroundings,
): Promise<Disk> {
  const home = join(options.directory, kind.replaceAll(' ', '-'));
  await mkdir(home, { mode: 0o700 });
  const { mountPoint } = poolPlaces(home);
  let isThere = true;
  const remove = async () => {
    if (!isThere) return;
    isThere = false;
    if (kind !== 'as it is') await runTool('umount', [mountPoint]);
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  };
  shutdown.onShutdown(`disk ${kind}`, remove);
  if (kind === 'as it is') await mkdir(mountPoint, { mode: 0o700 });
  else
    await initPool({
      home,
      sizeBytes: options.sizeBytes,
      tools: (name) => tools(name, kind, options.toolchain),
    });
  const usedBytes = async () => {
    await runTool('sync', ['--file-system', mountPoint]);
    const { blocks, bfree, bsize } = await statfs(mountPoint);
    return (blocks - bfree) * bsize;
  };
  return { kind, home, usedBytes, settledBytes: () => untilSame(usedBytes), remove };
}

/** What `look` says when it has said the same for half a second, or after half a minute of anything else. */
async function untilSame(look: () => Promise<number>): Promise<number> {
  let seen = await look();
  let same = 0;
  for (let looks = 0; looks < 300 && same < 5; looks += 1) {
    await setTimeout(100);
    const now = await look();
    same = now === seen ? same + 1 : 0;
    seen = now;
  }
  return seen;
}

async function tools(
  name: 'btrfs-progs' | 'xfsprogs',
  wanted: 'btrfs' | 'xfs',
  toolchain: Toolchain,
): Promise<ToolPlaces> {
  const isWanted = (name === 'btrfs-progs') === (wanted === 'btrfs');
  if (!isWanted) throw new BoughError({ code: 'not-wanted', message: `${wanted} is measured, not ${name}.` });
  const { bin, libraryPath } = await toolchain.resolve(name);
  return { bin, libraryPath };
}
