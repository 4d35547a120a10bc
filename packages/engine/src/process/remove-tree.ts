import { BoughError } from '@bough/domain/bough-error';
import { execa } from 'execa';

const options = { reject: false, stdin: 'ignore', timeout: 10 * 60_000, maxBuffer: 64 * 1024 } as const;

/** Removes a directory that a build may have filled with anything: links are not followed, closed directories opened. */
export async function removeTree(directory: string): Promise<void> {
  const first = await execa('rm', ['-rf', '--', directory], options);
  if (!first.failed) return;
  await execa('chmod', ['-R', 'u+rwX', '--', directory], options);
  const second = await execa('rm', ['-rf', '--', directory], options);
  if (!second.failed) return;
  throw new BoughError({
    code: 'directory-not-removed',
    message: `${directory} could not be removed: ${second.stderr.slice(0, 300)}`,
    hint: 'Remove it by hand, as the user that Bough runs as.',
  });
}
