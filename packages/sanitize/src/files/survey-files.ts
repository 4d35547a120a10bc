import type { FileRule } from '@bough/manifest/sanitize-policy';
import type { Finding } from '../finding.ts';
import { type MaskFiles, tooMany } from './file-masking.ts';
import { type DecideFile, spokenGlob } from './file-rules.ts';
import { type FoundFile, walkFiles } from './walk-files.ts';

/** Files with several names that are remembered until all their names were seen. */
const LINKED_MAX = 200_000;

export interface Undecided {
  count: number;
  nameless: number;
  readonly globs: Map<string, number>;
  unspoken: number;
}

export interface Survey {
  readonly files: number;
  readonly undecided: Undecided;
  /** Files with several names, of which not all are allowed: device and number. */
  readonly restricted: ReadonlySet<string>;
}

/** Reads all names before anything is made: what is undecided, and which files have a name that is not allowed. */
export async function surveyFiles({ source, signal, mount }: MaskFiles, decide: DecideFile): Promise<Survey> {
  const undecided: Undecided = { count: 0, nameless: 0, globs: new Map(), unspoken: 0 };
  const restricted = new Set<string>();
  let files = 0;
  for await (const batch of walkFiles(source, signal)) {
    for (const found of batch) {
      files += 1;
      if (found.kind === 'special' && found.path !== null) continue;
      const rule = found.path === null ? undefined : decide(found.path);
      if (rule === undefined) note(undecided, found.path);
      if (found.kind === 'file' && found.stats.nlink > 1n && rule?.action !== 'allow') {
        restricted.add(identityOf(found));
        if (restricted.size > LINKED_MAX) throw tooMany(mount, 'files with several names', LINKED_MAX);
      }
    }
  }
  return { files, undecided, restricted };
}

function note(undecided: Undecided, path: string | null): void {
  undecided.count += 1;
  if (path === null) {
    undecided.nameless += 1;
    return;
  }
  const glob = spokenGlob(path);
  if (glob === undefined) undecided.unspoken += 1;
  else undecided.globs.set(glob, (undecided.globs.get(glob) ?? 0) + 1);
}

/** The same for all names of one file. */
export function identityOf({ stats }: Pick<FoundFile, 'stats'>): string {
  return `${stats.dev}:${stats.ino}`;
}

const GLOBS_SHOWN = 12;

/** Says how many and of which endings, never a name; and the mount's rules with what is missing at their end. */
export function undecidedFinding({ mount, rules }: MaskFiles, undecided: Undecided): Finding {
  const globs = [...undecided.globs].sort(([, a], [, b]) => b - a).slice(0, GLOBS_SHOWN);
  const hasMore = undecided.unspoken + undecided.nameless > 0 || undecided.globs.size > GLOBS_SHOWN;
  const kinds = [
    ...globs.map(([glob, count]) => `${count} ${glob}`),
    ...(undecided.unspoken > 0 ? [`${undecided.unspoken} others`] : []),
    ...(undecided.nameless > 0
      ? [`${undecided.nameless} whose names are no UTF-8, which only dropping the mount decides`]
      : []),
  ];
  const missing: FileRule[] = [
    ...(globs.length > 0
      ? [{ action: 'placeholder' as const, globs: globs.map(([glob]) => glob), sameSize: false }]
      : []),
    ...(hasMore ? [{ action: 'drop' as const, globs: ['**'], sameSize: false }] : []),
  ];
  const onlyNameless = undecided.count === undecided.nameless;
  return {
    code: 'undecided',
    where: `mounts: ${mount}`,
    message: `No rule decides ${undecided.count} of its files (${kinds.join(', ')}).`,
    paste: onlyNameless
      ? `mounts:\n  ${JSON.stringify(mount)}: drop`
      : `mounts:\n  ${JSON.stringify(mount)}: [${[...rules, ...missing].map(ruleText).join(', ')}]`,
  };
}

function ruleText({ action, globs, sameSize }: FileRule): string {
  const [only] = globs;
  const text = globs.length === 1 ? JSON.stringify(only) : JSON.stringify(globs);
  return `{ ${action}: ${text}${sameSize ? ', size: same' : ''} }`;
}
