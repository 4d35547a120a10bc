import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BoughError } from '@bough/domain/bough-error';

export interface DumpTools {
  readonly dump: string;
  readonly restore: string;
  readonly major: number;
}

const debianPrefix = '/usr/lib/postgresql';
const standardDirectories = ['/usr/local/bin', '/usr/bin', '/bin'];

interface ToolNeed {
  /** Of the source: pg_dump refuses servers that are newer than itself. 0 for a file, which says when it is too new. */
  readonly least: number;
  /** Of the server that is filled: what newer tools write may not be understood by it. */
  readonly target: number;
  /** What is asked of the way there may need newer ones than the source does; where there are none, that is said later. */
  readonly wished?: number;
}

/** `pg_dump` and `pg_restore` of this machine. The servers that Bough unpacks from npm come without them. */
export async function findDumpTools(need: ToolNeed): Promise<DumpTools> {
  const found = await listDumpTools();
  const fit = chooseTools(found, need);
  if (fit !== undefined) return fit;
  const { least } = need;
  const newest = Math.max(0, ...found.map(({ major }) => major));
  throw new BoughError({
    code: 'dump-tool-missing',
    message: `Reading this source needs pg_dump and pg_restore ${least === 0 ? '' : `${least} or newer`} on this machine; ${newest === 0 ? 'there is none' : `the newest here is ${newest}`}.`,
    hint: `Install them: apt install postgresql-client${least === 0 ? '' : `-${least}, from apt.postgresql.org where the distribution lacks it`}.`,
  });
}

/**
 * The newest that the target understands, because a newer pg_restore reads the files of older ones and not the other way
 * round; else the oldest that is left. Pure.
 */
export function chooseTools<Tools extends Pick<DumpTools, 'major'>>(
  found: readonly Tools[],
  { least, target, wished = 0 }: ToolNeed,
): Tools | undefined {
  const able = found.filter(({ major }) => major >= least).sort((a, b) => a.major - b.major);
  const asWished = able.filter(({ major }) => major >= wished);
  const fit = asWished.length > 0 ? asWished : able;
  return fit.findLast(({ major }) => major <= target) ?? fit[0];
}

async function listDumpTools(): Promise<readonly DumpTools[]> {
  const majors = await readdir(debianPrefix).catch((): string[] => []);
  const directories = [...majors.map((major) => join(debianPrefix, major, 'bin')), ...standardDirectories];
  const found: DumpTools[] = [];
  for (const directory of directories) {
    const [dump, restore] = [join(directory, 'pg_dump'), join(directory, 'pg_restore')];
    const major = await askMajor(dump);
    if (major !== undefined && (await askMajor(restore)) === major) found.push({ dump, restore, major });
  }
  return found;
}

async function askMajor(file: string): Promise<number | undefined> {
  try {
    const { stdout } = await promisify(execFile)(file, ['--version'], { timeout: 10_000 });
    const major = /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1];
    return major === undefined ? undefined : Number(major);
  } catch {
    return undefined;
  }
}
