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

/**
 * `pg_dump` and `pg_restore` of this machine, of at least that major: pg_dump refuses servers that are newer than itself.
 * The servers that Bough unpacks from npm come without them.
 */
export async function findDumpTools(majorMin: number): Promise<DumpTools> {
  const majors = await readdir(debianPrefix).catch((): string[] => []);
  const directories = [...majors.map((major) => join(debianPrefix, major, 'bin')), ...standardDirectories];
  const found: DumpTools[] = [];
  for (const directory of directories) {
    const [dump, restore] = [join(directory, 'pg_dump'), join(directory, 'pg_restore')];
    const major = await askMajor(dump);
    if (major !== undefined && (await askMajor(restore)) === major) found.push({ dump, restore, major });
  }
  // The oldest that can: what it writes is understood by most servers.
  const [fit] = found.filter(({ major }) => major >= majorMin).sort((a, b) => a.major - b.major);
  if (fit !== undefined) return fit;
  const newest = Math.max(0, ...found.map(({ major }) => major));
  throw new BoughError({
    code: 'dump-tool-missing',
    message: `Reading this source needs pg_dump and pg_restore ${majorMin === 0 ? '' : `${majorMin} or newer`} on this machine; ${newest === 0 ? 'there is none' : `the newest here is ${newest}`}.`,
    hint: `Install them: apt install postgresql-client${majorMin === 0 ? '' : `-${majorMin}, from apt.postgresql.org where the distribution lacks it`}.`,
  });
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
