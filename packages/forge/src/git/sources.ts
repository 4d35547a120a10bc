import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckoutNotes, checkoutSource } from './checkout-source.ts';
import type { GitCommand } from './run-git.ts';
import { diffFiles, listFiles, readFile, type SourceAt, treeId } from './source.ts';
import type { SubmoduleSource } from './submodules.ts';

type At = Omit<SourceAt, 'git'>;

/** What is read of commits; each was fetched into its mirror before. The functions are `source.ts`'s, see there. */
export interface Sources {
  listFiles(at: At & { path: string }): Promise<string[]>;
  readFile(at: At & { path: string }): Promise<Buffer | undefined>;
  diffFiles(at: At & { from: string; paths: readonly string[] }): Promise<string>;
  treeId(at: At & { path: string }): Promise<string | undefined>;
  /** Writes exactly the commit's tree into a directory of its own. */
  checkout(at: At & { name: string; submodules?: SubmoduleSource }): Promise<Checkout>;
}

export interface Checkout {
  readonly path: string;
  readonly notes: CheckoutNotes;
  /** Removes the directory; nobody waits for it. */
  discard(): void;
}

/** By git. What a crash leaves of `checkouts` is removed at the next start. */
export function createSources(git: GitCommand, checkouts: string): Sources {
  return {
    listFiles: (at) => listFiles({ ...at, git }),
    readFile: (at) => readFile({ ...at, git }),
    diffFiles: (at) => diffFiles({ ...at, git }),
    treeId: (at) => treeId({ ...at, git }),
    async checkout({ name, ...at }) {
      await mkdir(checkouts, { recursive: true });
      const path = await mkdtemp(join(checkouts, `${name}-`));
      const discard = () => void rm(path, { recursive: true, force: true }).catch(() => {});
      try {
        return { path, notes: await checkoutSource({ ...at, git, into: path }), discard };
      } catch (error) {
        discard();
        throw error;
      }
    },
  };
}
