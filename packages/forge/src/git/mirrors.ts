import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { diskUsage } from '@bough/toolchain/disk-usage';
import { fetchedCommits, trimMirror } from './mirror.ts';
import type { GitCommand } from './run-git.ts';

export interface MirrorOnDisk {
  readonly projectId: string;
  readonly sizeBytes: number;
  readonly lastUsedAt: Date;
  /** That were fetched, each with its history. */
  readonly commits: readonly string[];
}

/** The mirrors of all projects: `<directory>/<project id>.git`. */
export interface Mirrors {
  list(signal?: AbortSignal): Promise<MirrorOnDisk[]>;
  /** Forgets all fetched commits but these, and what only they had. They can be fetched again. */
  trim(projectId: string, keep: ReadonlySet<string>, signal?: AbortSignal): Promise<void>;
  /** Of a project that is gone. */
  remove(projectId: string): Promise<void>;
}

export function createMirrors(git: GitCommand, directory: string): Mirrors {
  const path = (projectId: string) => join(directory, `${projectId}.git`);
  return {
    async list(signal) {
      const names = await readdir(directory).catch(() => []);
      const found: MirrorOnDisk[] = [];
      for (const name of names) {
        const projectId = /^(\d+)\.git$/.exec(name)?.[1];
        if (projectId === undefined) continue;
        const commits = await fetchedCommits({ git, mirror: path(projectId), signal });
        const lastUsedAt = await lastFetch(path(projectId));
        found.push({ projectId, commits, lastUsedAt, sizeBytes: await diskUsage(path(projectId), signal) });
      }
      return found;
    },
    trim: (projectId, keep, signal) => trimMirror({ git, mirror: path(projectId), keep, signal }),
    async remove(projectId) {
      // Gone at once, however long the removing takes.
      const aside = `${path(projectId)}.new-removed`;
      await rm(aside, { recursive: true, force: true });
      await rename(path(projectId), aside).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
      await rm(aside, { recursive: true, force: true });
    },
  };
}

/** A fetch makes a pack or writes a ref. */
async function lastFetch(mirror: string): Promise<Date> {
  const times = await Promise.all(
    ['.', 'objects/pack', 'refs/bough/commits', 'packed-refs'].map((name) =>
      stat(join(mirror, name)).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  );
  return new Date(Math.max(...times));
}
