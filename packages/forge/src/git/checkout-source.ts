import { findLfsPointers } from './lfs-pointers.ts';
import { type SourceAt, writeTree } from './source.ts';
import { checkoutSubmodules, type SubmoduleSource } from './submodules.ts';

export interface CheckoutNotes {
  /** Paths of submodules that are there now. */
  readonly submodules: readonly string[];
  /** Submodules that stay empty, and why. */
  readonly skipped: readonly { path: string; reason: string }[];
  /** Files (at most 20) that are Git LFS pointers: their content is not there. */
  readonly lfsPointers: readonly string[];
}

/**
 * Writes exactly the commit's tree into a directory, which must be absent or empty. Through an index of its own and not
 * `git archive`, which leaves out what `.gitattributes` marks `export-ignore`. No `.git` is made: an artifact depends on
 * the tree alone. Several may run at once on one mirror.
 */
export async function checkoutSource(
  source: SourceAt & { into: string; submodules?: SubmoduleSource },
): Promise<CheckoutNotes> {
  await writeTree(source);
  const { submodules, skipped } = await checkoutSubmodules(source);
  const lfsPointers = await findLfsPointers(source);
  return { submodules, skipped, lfsPointers };
}
