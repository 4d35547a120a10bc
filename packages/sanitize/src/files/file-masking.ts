import { BoughError } from '@bough/domain/bough-error';
import type { FileRule } from '@bough/manifest/sanitize-policy';

export interface MaskFiles {
  /** As people call it: `uploads`. */
  readonly mount: string;
  /** A frozen copy of production's files; never written to. */
  readonly source: string;
  /** An empty directory. */
  readonly target: string;
  readonly rules: readonly FileRule[];
  /** What happens to files that no rule matches: they block, or are left out. */
  readonly unmatched: 'fail' | 'drop';
  readonly signal: AbortSignal;
  line(text: string): void;
}

/** More than is held in memory is no mount but an archive, and is refused instead of half done. */
export function tooMany(mount: string, what: string, max: number): BoughError {
  return new BoughError({
    code: 'sanitize-failed',
    message: `The mount ${mount} has more than ${max} ${what}.`,
    hint: `Decide the mount as a whole in the default branch: mounts: { ${JSON.stringify(mount)}: drop }.`,
  });
}
