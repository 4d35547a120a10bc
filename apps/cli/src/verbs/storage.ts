import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import { claimHome } from '@bough/boot/home';
import { BoughError } from '@bough/domain/bough-error';
import { initPool } from '@bough/storage/pool/init-pool';
import { mountPool } from '@bough/storage/pool/mount-pool';
import { removePool } from '@bough/storage/pool/remove-pool';
import { type StorageStatus, storageStatus } from '@bough/storage/pool/storage-status';
import type { ToolPlaces } from '@bough/storage/run-tool';
import { sizeWords } from '@bough/storage/size-words';
import { createToolchain, type Toolchain } from '@bough/toolchain/toolchain';
import type { Command } from 'commander';
import type { CliConfig } from '../config.ts';
import type { VerbContext } from '../verb.ts';
import { budgetVerbs } from './budgets.ts';

const DEFAULT_SIZE = '50G';

export function storageVerbs(program: Command, context: VerbContext): void {
  const storage = program.command('storage').description('where volumes live, and how they are cloned');
  storage
    .command('init')
    .description(
      'as root: make a btrfs file system in a file below BOUGH_HOME, where clones take milliseconds',
    )
    .option('--size <size>', 'how large it may grow, as 50G or 800M', DEFAULT_SIZE)
    .action((options: { size: string }) => init(context, parseSize(options.size)));
  storage
    .command('status')
    .description('what is used, why, and how full it is')
    .action(() => status(context));
  storage
    .command('mount')
    .description(
      'as root: mount what `init` made, after a restart of the machine; `bough serve` as root does it itself',
    )
    .action(() => mount(context));
  storage
    .command('remove')
    .description('as root: take away what `init` made, once no volumes are left')
    .action(() => remove(context));
  budgetVerbs(storage, context);
}

/** `50G` is 50 GB, as disks are sold and sizes are printed; `50GiB` counts by 1024. */
export function parseSize(text: string): number {
  const [, number, unit, binary] = /^(\d+(?:\.\d+)?)\s*([MGT])(i?)B?$/i.exec(text.trim()) ?? [];
  if (number === undefined || unit === undefined) {
    throw new BoughError({
      code: 'usage',
      message: `"${text}" is not a size.`,
      hint: 'Write a number and a unit, as in 800M, 50G or 1T.',
    });
  }
  const step = binary ? 1024 : 1000;
  return Math.floor(Number(number) * step ** ('MGT'.indexOf(unit.toUpperCase()) + 2));
}

async function init(context: VerbContext, sizeBytes: number): Promise<void> {
  const { home } = context.config;
  const toolchain = toolchainOf(context);
  const pool = await alone(home, () =>
    initPool({
      home,
      sizeBytes,
      tools: (name) => placesOf(toolchain, name),
      ...(context.output.json ? {} : { onProgress: context.output.line }),
    }),
  );
  context.output.result(pool, () =>
    [
      `Previews' data is now cloned on ${pool.fileSystem}, in a file that may grow to ${sizeWords(pool.sizeBytes)}.`,
      ...(pool.why === '' ? [] : [`Not on btrfs: ${pool.why}`]),
      'Start Bough: bough serve. As root it mounts the file again after a restart of the machine; for an ordinary user',
      'root must: `bough storage status` has the command.',
    ].join('\n'),
  );
}

async function mount(context: VerbContext): Promise<void> {
  const pool = await mountPool(context.config.home);
  context.output.result({ mounted: pool !== undefined }, () =>
    pool === undefined ? 'There is no pool to mount.' : 'The pool is mounted.',
  );
}

async function remove(context: VerbContext): Promise<void> {
  const { home } = context.config;
  await alone(home, () => removePool(home));
  context.output.result(
    { removed: true },
    () => 'The pool is gone. Volumes are made on the disk itself again.',
  );
}

async function status(context: VerbContext): Promise<void> {
  const found = await readStorageStatus(context.config, toolchainOf(context));
  context.output.result(found, () => describe(found));
}

/** Fetches nothing: what is not here counts as missing. */
export async function readStorageStatus(
  { home, environment }: Pick<CliConfig, 'home' | 'environment'>,
  toolchain: Toolchain,
): Promise<StorageStatus> {
  const isHere = (await toolchain.probe('btrfs-progs')) !== 'missing';
  const places = isHere ? await placesOf(toolchain, 'btrfs-progs') : undefined;
  return storageStatus(home, { want: wantOf(environment.BOUGH_STORAGE), places });
}

function wantOf(text: string | undefined): 'auto' | 'btrfs' | 'reflink' | 'copy' {
  return text === 'btrfs' || text === 'reflink' || text === 'copy' ? text : 'auto';
}

function describe(found: StorageStatus): string {
  const { pool, space } = found;
  const used = space.totalBytes - space.freeBytes;
  return [
    `storage    ${found.kind ?? 'none'} at ${found.path}`,
    ...found.tried.map((trial) => `  ${trial.ok ? '✔' : '✘'} ${trial.kind.padEnd(8)} ${trial.why}`),
    `full       ${sizeWords(used)} of ${sizeWords(space.totalBytes)} used, ${sizeWords(space.freeBytes)} free`,
    `holds      ${found.volumes} volumes, ${found.snapshots} snapshots`,
    ...(pool === undefined
      ? []
      : [
          `pool       ${pool.fileSystem} of ${sizeWords(pool.sizeBytes)} in ${pool.image}, which takes ${sizeWords(pool.imageBytes)}`,
          ...(pool.isMounted ? [] : [`           NOT MOUNTED: ${pool.mountCommand}`]),
          ...(pool.isOvercommitted
            ? [
                `           The disk below it has only ${sizeWords(pool.host.freeBytes)} left: free some before the pool grows into that.`,
              ]
            : []),
        ]),
  ].join('\n');
}

/** While Bough runs on this home, its storage is not exchanged under it. */
async function alone<Result>(home: string, work: () => Promise<Result>): Promise<Result> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const release = await claimHome(home);
  try {
    return await work();
  } finally {
    await release();
  }
}

function toolchainOf({ config }: VerbContext): Toolchain {
  return createToolchain({
    home: join(config.home, 'toolchains'),
    env: config.environment,
    log: { info() {} },
    packageDirectories: embeddedPackageDirectories(),
  });
}

async function placesOf(toolchain: Toolchain, name: string): Promise<ToolPlaces> {
  const { bin, libraryPath } = await toolchain.resolve(name);
  return { bin, libraryPath };
}
