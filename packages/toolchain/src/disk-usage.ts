import { runCommand } from './run-command.ts';

const TIMEOUT_MS = 10 * 60_000;

/** Bytes on disk of everything below a directory, hard links once; 0 when it is not there. What vanishes meanwhile does not count. */
export async function diskUsage(path: string, signal?: AbortSignal): Promise<number> {
  const { stdout } = await runCommand('du', ['-s', '--block-size=1', '--', path], {
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    timeoutMs: TIMEOUT_MS,
    signal,
  });
  return Number(/^(\d+)\s/.exec(stdout)?.[1] ?? 0);
}
