import { BoughError } from '@bough/domain/bough-error';
import { execa } from 'execa';

const timeoutMs = 10 * 60_000;

/** Copies what is in a directory into another, links as links, sharing blocks where the file system can. */
export async function copyTree(
  source: string,
  target: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  // Not the owner: inside the sandbox all files must be the one user's.
  const how = ['-R', '--no-dereference', '--preserve=mode,timestamps,links', '--reflink=auto'];
  const copied = await execa('cp', [...how, '--', `${source}/.`, target], {
    reject: false,
    stdin: 'ignore',
    timeout: timeoutMs,
    forceKillAfterDelay: 500,
    maxBuffer: 64 * 1024,
    ...(signal ? { cancelSignal: signal } : {}),
  });
  signal?.throwIfAborted();
  if (!copied.failed) return;
  throw new BoughError({
    code: 'copy-failed',
    message: `${source} could not be copied: ${copied.stderr.slice(0, 500) || copied.shortMessage}`,
    hint: 'Check that the disk of BOUGH_HOME has room (df -h) and that the source is readable.',
    retryable: true,
  });
}

/** What a directory takes on the disk. */
export async function diskUsage(directory: string, signal: AbortSignal | undefined): Promise<number> {
  const { stdout } = await execa('du', ['-sk', '--', directory], {
    reject: false,
    stdin: 'ignore',
    timeout: 120_000,
    ...(signal ? { cancelSignal: signal } : {}),
  });
  signal?.throwIfAborted();
  return (Number.parseInt(stdout, 10) || 0) * 1024;
}
