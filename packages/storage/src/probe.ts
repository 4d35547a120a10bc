import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { createBtrfsTrees } from './btrfs/storage.ts';
import { type LocalStorageKind, storages } from './registry.ts';
import { runTool, type ToolPlaces } from './run-tool.ts';
import type { Storage } from './storage.ts';

export interface StorageChoice {
  readonly storage: Storage;
  /** Every kind that was tried, in order, and what came of it; shown by `bough doctor`. */
  readonly tried: readonly StorageTrial[];
}

export interface StorageTrial {
  readonly kind: LocalStorageKind;
  readonly ok: boolean;
  /** What was done and seen, or why not and what to do about it. */
  readonly why: string;
}

export interface ChooseStorageOptions {
  readonly root: string;
  readonly want: 'auto' | LocalStorageKind;
  readonly installationId: string;
  /** See DirectoryStorageOptions. */
  readonly warmCopies?: number;
  readonly places?: ToolPlaces | undefined;
  readonly log: { info(fields: object, message: string): void };
}

/**
 * Finds the best storage by doing, not by asking: each kind makes, copies and removes something below `root`. The
 * choice is kept, for volumes of one kind cannot be cloned by another: a root that holds volumes goes on as it began.
 */
export async function chooseStorage(options: ChooseStorageOptions): Promise<StorageChoice> {
  const { kind, tried } = await tryStorage(options);
  if (kind === undefined) throw unavailable(options, tried);
  await writeFile(join(options.root, kindFile), `${kind}\n`, { mode: 0o600 });
  options.log.info({ storage: kind, tried }, 'storage chosen');
  return { storage: storages[kind](options), tried };
}

/** What would be chosen, and why; nothing is kept of it. */
export async function tryStorage(
  options: Pick<ChooseStorageOptions, 'root' | 'want' | 'places'>,
): Promise<{ kind: LocalStorageKind | undefined; tried: readonly StorageTrial[] }> {
  await mkdir(options.root, { recursive: true, mode: 0o700 });
  const kept = await keptKind(options.root);
  const tried: StorageTrial[] = [];
  for (const kind of candidateKinds(options.want, kept)) {
    const why = await tryKind(kind, options);
    tried.push({ kind, ok: why.ok, why: why.text });
    if (why.ok) return { kind, tried };
  }
  return { kind: undefined, tried };
}

const kindFile = 'kind';

async function keptKind(root: string): Promise<LocalStorageKind | undefined> {
  const text = (await readFile(join(root, kindFile), 'utf8').catch(() => '')).trim();
  if (!isLocalKind(text)) return undefined;
  const shelves = await Promise.all(
    ['volumes', 'snapshots'].map((name) => readdir(join(root, name)).catch((): string[] => [])),
  );
  return shelves.flat().some((name) => !name.startsWith('.')) ? text : undefined;
}

function isLocalKind(text: string): text is LocalStorageKind {
  return Object.hasOwn(storages, text);
}

function candidateKinds(
  want: ChooseStorageOptions['want'],
  kept: LocalStorageKind | undefined,
): readonly LocalStorageKind[] {
  if (kept === undefined) return want === 'auto' ? ['btrfs', 'reflink', 'copy'] : [want];
  if (want === 'auto' || want === kept) return [kept];
  throw new BoughError({
    code: 'storage-differs',
    message: `BOUGH_STORAGE is ${want}, but the volumes that are there were made by ${kept}.`,
    hint: `Set BOUGH_STORAGE=${kept} or auto, or remove all environments before changing it.`,
  });
}

interface Outcome {
  readonly ok: boolean;
  readonly text: string;
}

async function tryKind(
  kind: LocalStorageKind,
  { root, places }: { root: string; places?: ToolPlaces | undefined },
): Promise<Outcome> {
  const scratch = join(root, `.probe-${randomBytes(4).toString('hex')}`);
  await mkdir(scratch, { mode: 0o700 });
  try {
    return await trials[kind](scratch, places);
  } catch (error) {
    return { ok: false, text: error instanceof Error ? error.message : String(error) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const trials: Readonly<Record<LocalStorageKind, (scratch: string, places?: ToolPlaces) => Promise<Outcome>>> =
  {
    btrfs: tryBtrfs,
    reflink: tryReflink,
    copy: tryCopy,
  };

async function tryBtrfs(scratch: string, places?: ToolPlaces): Promise<Outcome> {
  const trees = createBtrfsTrees(places);
  const command = await runTool('btrfs', ['--version'], { places });
  if (!command.ok) {
    return { ok: false, text: 'not available: btrfs command missing, install btrfs-progs' };
  }
  const [volume, snapshot] = [join(scratch, 'volume'), join(scratch, 'snapshot')];
  try {
    await trees.create(volume);
    await writeFile(join(volume, 'file'), 'probe');
    await trees.copyLive(volume, snapshot);
    await trees.freeze(snapshot, { durable: true });
    const same = (await readFile(join(snapshot, 'file'), 'utf8')) === 'probe';
    return same
      ? { ok: true, text: 'made, snapshot and removed a subvolume' }
      : { ok: false, text: 'a snapshot did not hold what its subvolume held' };
  } catch (error) {
    if (!/not a btrfs filesystem/i.test(String(error))) throw error;
    return { ok: false, text: 'not available: this disk is not btrfs' };
  } finally {
    await trees.erase(snapshot);
    await trees.erase(volume);
  }
}

async function tryReflink(scratch: string): Promise<Outcome> {
  const source = join(scratch, 'source');
  await writeFile(source, Buffer.alloc(64 * 1024, 1));
  try {
    await copyFile(source, join(scratch, 'copy'), constants.COPYFILE_FICLONE_FORCE);
    return { ok: true, text: 'a file was cloned by FICLONE' };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return { ok: false, text: `not available: this file system cannot clone files (${code})` };
  }
}

async function tryCopy(scratch: string): Promise<Outcome> {
  const source = join(scratch, 'source');
  await mkdir(source);
  await writeFile(join(source, 'file'), 'probe');
  const result = await runTool('cp', ['-a', '--reflink=auto', '-T', '--', source, join(scratch, 'copy')]);
  const isThere = await stat(join(scratch, 'copy/file')).catch(() => undefined);
  return result.ok && isThere
    ? { ok: true, text: 'a directory was copied; each clone writes all its bytes' }
    : { ok: false, text: `not available: cp of GNU coreutils is needed (${result.stderr.split('\n')[0]})` };
}

function unavailable(options: ChooseStorageOptions, tried: readonly StorageTrial[]): BoughError {
  const reasons = tried.map(({ kind, why }) => `${kind}: ${why}`).join('; ');
  return new BoughError({
    code: 'storage-unavailable',
    message: `No storage works under ${options.root}: ${reasons}.`,
    hint:
      options.want === 'auto'
        ? 'Make the directory writable, or point BOUGH_HOME at another disk.'
        : 'Set BOUGH_STORAGE=auto to let Bough choose, or put BOUGH_HOME on a file system that can do it.',
  });
}
