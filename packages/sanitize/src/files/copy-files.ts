import { constants } from 'node:fs';
import {
  chmod,
  copyFile,
  lchown,
  lstat,
  lutimes,
  mkdir,
  open,
  readlink,
  symlink,
  utimes,
} from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { FilesReport } from '@bough/domain/data-report';
import { type MaskFiles, tooMany } from './file-masking.ts';
import type { DecideFile } from './file-rules.ts';
import { placeholderFor } from './placeholder.ts';
import { identityOf, type Survey } from './survey-files.ts';
import { type FoundFile, walkFiles } from './walk-files.ts';

const PROGRESS_EVERY = 10_000;
const AT_ONCE = 16;
const LINKS_MAX = 200_000;
/** A link to a link to a link …: as many as the kernel follows. */
const LINK_ROUNDS_MAX = 40;

type Counts = { -readonly [Key in keyof FilesReport]: FilesReport[Key] };

interface Link {
  readonly path: string;
  readonly to: string;
  readonly found: FoundFile;
}

interface Copying extends MaskFiles {
  readonly counts: Counts;
  /** Directories that are there, with the promise of them: files of one directory are copied side by side. */
  readonly directories: Map<string, Promise<void>>;
  readonly links: Link[];
}

export async function copyFiles(of: MaskFiles, decide: DecideFile, survey: Survey): Promise<FilesReport> {
  const none = { files: 0, allowed: 0, placeholders: 0, dropped: 0, links: 0 };
  const counts: Counts = { ...none, linksDropped: 0, specialDropped: 0, bytesAllowed: 0 };
  const copying: Copying = { ...of, counts, directories: new Map(), links: [] };
  for await (const batch of walkFiles(of.source, of.signal)) {
    for (let at = 0; at < batch.length; at += AT_ONCE) {
      await Promise.all(
        batch.slice(at, at + AT_ONCE).map((found) => copyOne(copying, decide, survey, found)),
      );
      of.signal.throwIfAborted();
    }
    const before = counts.files;
    counts.files += batch.length;
    if (Math.floor(before / PROGRESS_EVERY) < Math.floor(counts.files / PROGRESS_EVERY))
      of.line(`${counts.files} of ${survey.files} files`);
  }
  await makeLinks(copying);
  await settleDirectories(copying);
  return counts;
}

async function copyOne(
  copying: Copying,
  decide: DecideFile,
  { restricted }: Survey,
  found: FoundFile,
): Promise<void> {
  const { counts, source, target } = copying;
  const { path } = found;
  const rule = path === null ? undefined : decide(path);
  if (found.kind === 'special') counts.specialDropped += 1;
  else if (path === null || rule === undefined || rule.action === 'drop') counts.dropped += 1;
  else if (found.kind === 'link') {
    copying.links.push({ path, to: await readlink(join(source, path)), found });
    if (copying.links.length > LINKS_MAX) throw tooMany(copying.mount, 'links', LINKS_MAX);
  } else {
    await ensureDirectory(copying, posix.dirname(path));
    const isAllowed = rule.action === 'allow' && !restricted.has(identityOf(found));
    const to = join(target, path);
    if (isAllowed) {
      // Exclusive: a golden is made of what is not there yet. Shares the bytes where the disk can.
      await copyFile(join(source, path), to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      counts.allowed += 1;
      counts.bytesAllowed += Number(found.stats.size);
    } else {
      await writePlaceholder(to, path, { sizeBytes: Number(found.stats.size), sameSize: rule.sameSize });
      counts.placeholders += 1;
    }
    await likeOriginal(to, found);
  }
}

async function writePlaceholder(
  to: string,
  path: string,
  original: { sizeBytes: number; sameSize: boolean },
): Promise<void> {
  const { head, sizeBytes } = placeholderFor(path, original);
  const file = await open(to, 'wx', 0o600);
  try {
    if (head.length > 0) await file.write(head, 0, head.length, 0);
    await file.truncate(sizeBytes);
  } finally {
    await file.close();
  }
}

/** Owner first: changing it takes special bits away. Only root can give files to others. */
async function likeOriginal(to: string, { stats, kind }: FoundFile): Promise<void> {
  if (process.geteuid?.() === 0) await lchown(to, Number(stats.uid), Number(stats.gid));
  if (kind === 'file') await chmod(to, Number(stats.mode & 0o7777n));
  await (kind === 'link' ? lutimes : utimes)(
    to,
    Number(stats.atimeMs) / 1_000,
    Number(stats.mtimeMs) / 1_000,
  );
}

function ensureDirectory(copying: Copying, path: string): Promise<void> {
  if (path === '.') return Promise.resolve();
  const known = copying.directories.get(path);
  if (known !== undefined) return known;
  const made = ensureDirectory(copying, posix.dirname(path)).then(async () => {
    await mkdir(join(copying.target, path), { mode: 0o700 });
  });
  copying.directories.set(path, made);
  return made;
}

/** As production's, and at the end: a directory without the right to write takes no files. */
async function settleDirectories({ directories, source, target }: Copying): Promise<void> {
  // The deepest first: what is made in a directory changes its time.
  const paths = [...directories.keys()].sort((a, b) => b.length - a.length);
  for (const path of [...paths, '']) {
    const [to, stats] = [join(target, path), await lstat(join(source, path))];
    if (process.geteuid?.() === 0) await lchown(to, stats.uid, stats.gid);
    await chmod(to, stats.mode & 0o7777);
    await utimes(to, stats.atime, stats.mtime);
  }
}

/** In rounds, for a link may lead to another. What leads nowhere in the end is left out: its target may be the name of what was. */
async function makeLinks(copying: Copying): Promise<void> {
  const { links, counts, target } = copying;
  let open = links;
  for (let round = 0; round < LINK_ROUNDS_MAX && open.length > 0; round += 1) {
    const left: Link[] = [];
    for (const link of open) {
      const leadsTo = insideOf(link);
      if (leadsTo === undefined || !(await exists(join(target, leadsTo)))) left.push(link);
      else {
        await ensureDirectory(copying, posix.dirname(link.path));
        await symlink(link.to, join(target, link.path));
        await likeOriginal(join(target, link.path), link.found);
        counts.links += 1;
      }
    }
    if (left.length === open.length) break;
    open = left;
  }
  counts.linksDropped = links.length - counts.links;
}

/**
 * Where a link leads, from the root; undefined when that may be outside. `..` counts only at the beginning: behind the name of another
 * link it would mean a place that its text does not tell.
 */
export function insideOf({ path, to }: Pick<Link, 'path' | 'to'>): string | undefined {
  const parts = to.split('/').filter((part) => part !== '' && part !== '.');
  const down = parts.findIndex((part) => part !== '..');
  const isPlain = down === -1 || parts.lastIndexOf('..') < down;
  if (to === '' || to.startsWith('/') || to.includes('\uFFFD') || !isPlain) return undefined;
  const leadsTo = posix.normalize(posix.join(posix.dirname(path), to));
  return leadsTo === '..' || leadsTo.startsWith('../') ? undefined : leadsTo;
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
