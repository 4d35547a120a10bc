import type { Finding } from '@bough/boot/doctor';
import type { StorageStatus } from '@bough/storage/pool/storage-status';
import { sizeWords } from '@bough/storage/size-words';

const name = 'cloning';

const words = {
  btrfs: 'btrfs: a clone takes milliseconds, whatever its size.',
  reflink: 'reflink: a clone takes time by its files, not by its bytes.',
  copy: 'This disk cannot share blocks between copies: a clone costs its bytes, unless a copy was made ahead.',
} as const;

/** What `bough doctor` says of the storage. Pure. */
export function cloningFindings(status: StorageStatus): Finding[] {
  const { kind, pool } = status;
  if (pool !== undefined && !pool.isMounted) {
    const message = `The storage pool is not mounted: ${pool.image}`;
    return [{ name, status: 'problem', message, fix: `Run ${pool.mountCommand}` }];
  }
  if (kind === undefined) {
    const message = `No storage works: ${status.tried.map((trial) => `${trial.kind}: ${trial.why}`).join('; ')}`;
    return [
      { name, status: 'problem', message, fix: 'Make BOUGH_HOME writable, or put it on another disk.' },
    ];
  }
  const message =
    pool === undefined ? words[kind] : `${words[kind]} In a pool of ${sizeWords(pool.sizeBytes)}.`;
  const fix = 'For large data put BOUGH_HOME on btrfs, or as root: bough storage init --size 50G';
  const finding: Finding =
    kind === 'copy' ? { name, status: 'warning', message, fix } : { name, status: 'ok', message };
  return pool?.isOvercommitted ? [finding, overcommitted(pool.host.freeBytes)] : [finding];
}

function overcommitted(freeBytes: number): Finding {
  return {
    name,
    status: 'warning',
    message: `The pool may still grow by more than the ${sizeWords(freeBytes)} that are free on the disk below it.`,
    fix: 'Free space on that disk: when it is full, everything in the pool stops.',
  };
}
