import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Reading } from '@bough/reconcile/policy';

/** Fewer are in any repository of sources; more would be a mistake, such as a whole disk. */
const FILES_MAX = 200_000;
const NOT_SOURCE = new Set(['.git', 'node_modules']);

/** Reads a manifest out of a working directory, committed or not, by the code that reads it out of a commit. */
export function directorySources(directory: string): Reading['sources'] {
  return {
    listFiles: () => filesBelow(directory),
    readFile: ({ path }) =>
      readFile(join(directory, path)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'EISDIR') return undefined;
        throw error;
      }),
  };
}

/** Paths relative to the directory, with slashes. */
async function filesBelow(root: string): Promise<string[]> {
  const files: string[] = [];
  const waiting = [root];
  for (let next = waiting.pop(); next !== undefined && files.length < FILES_MAX; next = waiting.pop()) {
    for (const entry of await readdir(next, { withFileTypes: true })) {
      const path = join(next, entry.name);
      if (!entry.isDirectory()) files.push(relative(root, path));
      else if (!NOT_SOURCE.has(entry.name)) waiting.push(path);
    }
  }
  return files;
}
