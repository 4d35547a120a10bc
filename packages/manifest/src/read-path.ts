import { posix } from 'node:path';

/** A path without slashes at the ends and without `.` parts; undefined when it leads out of where it starts. */
export function tidyPath(path: string): string | undefined {
  if (path.length > 1024 || /[\0\n\r\\]/.test(path)) return undefined;
  const tidy = posix.normalize(`./${path.replace(/^\/+/, '')}`).replace(/\/+$/, '');
  if (tidy === '..' || tidy.startsWith('../')) return undefined;
  return tidy === '.' ? '' : tidy;
}

/** Whether one directory is, or lies within, the other. */
export function overlaps(left: string, right: string): boolean {
  if (left === '' || right === '') return true;
  return left === right || left.startsWith(`${right}/`) || right.startsWith(`${left}/`);
}
