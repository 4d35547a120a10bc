import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { Artifact } from '../engine.ts';
import { ownedName } from './owner.ts';
import { removeTree } from './remove-tree.ts';

/** `artifacts/<key>` holds `app`, which is the artifact, and `artifact.json`. It is there whole or not at all. */
export interface ArtifactNote {
  readonly sizeBytes: number;
  readonly builtAt: string;
  readonly durationMs: number;
}

export interface ArtifactShelf {
  list(): Promise<Artifact[]>;
  find(key: string): Promise<Artifact | undefined>;
  remove(key: string): Promise<void>;
  /** The directory of an artifact that must be there. */
  open(key: string): Promise<string>;
  /** Publishes a finished directory. False when somebody else has published that key already: then theirs counts. */
  publish(key: string, directory: string): Promise<boolean>;
}

export function createArtifactShelf(home: string): ArtifactShelf {
  const shelf = join(home, 'artifacts');

  async function find(key: string): Promise<Artifact | undefined> {
    const note = await readNote(join(shelf, checkedKey(key), 'artifact.json'));
    return (
      note && {
        key,
        sizeBytes: note.sizeBytes,
        builtAt: new Date(note.builtAt),
        durationMs: note.durationMs,
        cached: true,
      }
    );
  }

  return {
    find,
    async list() {
      const names = await readdir(shelf).catch(() => []);
      const found = await Promise.all(names.filter(isKey).map(find));
      return found.filter((artifact) => artifact !== undefined);
    },
    async remove(key) {
      await mkdir(join(home, 'builds'), { recursive: true, mode: 0o700 });
      // Gone at once, however long the removing takes; what a crash leaves there is swept as an abandoned build.
      const aside = join(home, 'builds', `${checkedKey(key)}.${await ownedName()}`);
      const isAbsent = await rename(join(shelf, key), aside).then(
        () => false,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return true;
          throw error;
        },
      );
      if (!isAbsent) await removeTree(aside);
    },
    async open(key) {
      if (await find(key)) return join(shelf, key, 'app');
      throw new BoughError({
        code: 'artifact-missing',
        message: `The artifact ${key} is not on this machine any more.`,
        hint: 'Redeploy the environment, which builds it again.',
        retryable: true,
      });
    },
    async publish(key, directory) {
      await mkdir(shelf, { recursive: true, mode: 0o700 });
      return rename(directory, join(shelf, checkedKey(key))).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') return false;
          throw error;
        },
      );
    },
  };
}

const keyPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

export const isKey = (name: string): boolean => keyPattern.test(name);

export function checkedKey(key: string): string {
  if (isKey(key)) return key;
  throw new BoughError({
    code: 'key-invalid',
    message: `"${key.slice(0, 80)}" cannot be the key of an artifact or a cache.`,
    hint: 'A key is letters, digits, dots, hyphens and underscores, at most 200 of them.',
  });
}

async function readNote(file: string): Promise<ArtifactNote | undefined> {
  try {
    const note: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isNote(note) ? note : undefined;
  } catch {
    return undefined;
  }
}

function isNote(value: unknown): value is ArtifactNote {
  return (
    typeof value === 'object' &&
    value !== null &&
    'sizeBytes' in value &&
    'builtAt' in value &&
    'durationMs' in value
  );
}
