import { once } from 'node:events';
import { access, mkdir, realpath, rm, rmdir, statfs, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { styleText } from 'node:util';
import { freePort, isPortFree } from '@bough/boot/free-port';
import { claimHome } from '@bough/boot/home';
import { createLogger } from '@bough/boot/logger';
import { makePrivateDirectory } from '@bough/boot/private-directory';
import { endProcess, findServer } from '@bough/boot/process-tree';
import { createShutdown, type Shutdown, signalExitCodes } from '@bough/boot/signals';
import { toolchainCache } from '@bough/boot/toolchain-cache';
import { BoughError } from '@bough/domain/bough-error';
import type { Command } from 'commander';
import { type Logger, pino } from 'pino';
import { finishDemo, openDemo } from '../demo/demo.ts';
import { createNarrator, type Narrator } from '../demo/narrator.ts';
import { startStage } from '../demo/stage.ts';
import { EXIT } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { stopWorkloads } from './down.ts';

/** Measured: 390 MB at most, and 430 MB of tools where they cannot be kept with the checkout. */
const DISK_BYTES = 600 * 2 ** 20;
const TOOLS_BYTES = 500 * 2 ** 20;

/** What was begun when somebody interrupts gets this long to notice it. */
const SETTLE_MS = 30_000;

interface Demo {
  /** Holds Bough's home, the forge's and the log. */
  readonly directory: string;
  readonly home: string;
  readonly logFile: string;
  readonly isOnce: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly narrator: Narrator;
  readonly shutdown: Shutdown;
  readonly log: Logger;
}

export function demoVerb(program: Command, context: VerbContext): void {
  program
    .command('demo')
    .description('a shop, a forge, a pull request and its preview on this machine; stays up for clicking')
    .option('--once', 'go on by itself: push, merge, clean up, end')
    .option(
      '--home <directory>',
      'where it keeps its things',
      join(tmpdir(), `bough-demo-${process.getuid?.() ?? 0}`),
    )
    .action(async (options: { once?: true; home: string }) => {
      process.exitCode = await runDemo(context, options);
    });
}

async function runDemo(context: VerbContext, options: { once?: true; home: string }): Promise<number> {
  const directory = resolve(options.home);
  await makePrivateDirectory(directory, 'Name another one with --home.');
  const release = await claim(directory);
  try {
    const demo = await prepare(context, directory, options.once === true);
    const stopListening = demo.shutdown.listen();
    return await untilEndOrSignal(demo).finally(stopListening);
  } finally {
    // A log that is kept stays, and so do somebody's own files in a directory that was named with --home.
    await rmdir(directory).catch(() => undefined);
    await release();
  }
}

async function claim(directory: string): Promise<() => Promise<void>> {
  return claimHome(directory).catch((error: unknown) => {
    if (!(error instanceof BoughError)) throw error;
    throw new BoughError({
      code: 'demo-runs-already',
      message: `A demo runs already: ${error.message}`,
      hint: 'End that one with Ctrl-C, or give this one a directory of its own with --home.',
    });
  });
}

async function prepare(context: VerbContext, directory: string, isOnce: boolean): Promise<Demo> {
  const { environment } = context.config;
  const home = join(directory, 'bough');
  const logFile = join(directory, 'demo.log');
  await clear(directory, environment);
  const cache = await toolchainCache();
  await requireDisk(directory, cache === undefined ? DISK_BYTES + TOOLS_BYTES : DISK_BYTES);
  await mkdir(home, { mode: 0o700 });
  if (cache !== undefined) await symlink(cache, join(home, 'toolchains'));
  const log = createLogger({ name: 'demo', destination: pino.destination({ dest: logFile, sync: false }) });
  return {
    directory,
    home,
    logFile,
    isOnce,
    environment,
    narrator: createNarrator({
      columns: process.stdout.isTTY && !isOnce ? () => process.stdout.columns || 80 : undefined,
      write: (text) => process.stdout.write(text),
    }),
    // Leaving is for whoever has lost patience; everybody else waits until all is removed.
    shutdown: createShutdown({ log, exit: (code) => void (code > 128 && process.exit(code)) }),
    log,
  };
}

/** A database that finds no space left half-way says so in words that nobody connects with /tmp. */
async function requireDisk(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize >= bytes) return;
  const megabytes = (count: number) => `${Math.floor(count / 2 ** 20)} MB`;
  throw new BoughError({
    code: 'disk-too-small',
    message: `The demo needs ${megabytes(bytes)} under ${directory}; ${megabytes(bavail * bsize)} are free.`,
    hint: 'Name a directory on a larger disk: npm run demo -- --home <directory>',
  });
}

async function untilEndOrSignal(demo: Demo): Promise<number> {
  const { narrator, shutdown } = demo;
  const { signal } = shutdown;
  const shown = show(demo);
  try {
    await Promise.race([shown, aborted(signal)]);
  } catch (error) {
    if (!signal.aborted) {
      narrator.say(`The log is ${demo.logFile}; it is kept.`);
      await shutdown.shutDown('the demo failed');
      await stopWorkloads(demo.home, demo.environment).catch(() => 0);
      throw error;
    }
  }
  if (signal.aborted) narrator.say('\nRemoving everything …');
  await shutdown.shutDown('the demo ends');
  const isComplete = await Promise.race([shown.catch(() => false), delay(SETTLE_MS, false, { ref: false })]);
  // Once more, for what came to life in the meantime.
  const isClean = await shutdown.shutDown('the demo ends');
  await clear(demo.directory, demo.environment);
  await rm(demo.logFile, { force: true });
  if (!isClean) return EXIT.failed;
  return isComplete ? EXIT.fine : signalExitCodes.SIGINT;
}

/** True when all of it was shown: for `--once` to the end, otherwise until somebody had seen enough. */
async function show(demo: Demo): Promise<boolean> {
  const { narrator, shutdown, home } = demo;
  const stage = await narrator.during('Bough, with databases of its own', async (update) =>
    startStage(
      {
        home,
        forgeHome: join(demo.directory, 'forge'),
        environment: { ...demo.environment, BOUGH_LOG_FILE: demo.logFile },
        ports: {
          server: await preferably(3000),
          gateway: await preferably(8080),
          forge: await preferably(4000),
        },
        onProgress: update,
      },
      shutdown,
      demo.log,
    ),
  );
  const addresses = await openDemo(stage, narrator);
  const title = (text: string) => styleText('bold', text.padEnd(12));
  narrator.say('');
  narrator.say(
    `  ${title('Pull request')}  ${addresses.pullRequest}   its comment, its check; merge it there`,
  );
  narrator.say(`  ${title('Preview')}  ${addresses.preview}`);
  narrator.say(`  ${title('Production')}  ${addresses.production}`);
  narrator.say(`  ${title('Bough')}  ${stage.bough.publicUrl}   token: ${join(home, 'admin-token')}`);
  narrator.say(`  ${title('Command line')}  BOUGH_HOME=${home} npx bough env list`);
  narrator.say('');
  if (demo.isOnce) {
    await finishDemo(stage, narrator);
  } else {
    narrator.say('Click around. Ctrl-C ends the demo and removes all of it.');
    await aborted(shutdown.signal);
  }
  return true;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

async function preferably(port: number): Promise<number> {
  return (await isPortFree(port)) ? port : await freePort();
}

/** Removes what an earlier demo left that was killed, its workloads too. */
async function clear(
  directory: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const home = join(directory, 'bough');
  const wasThere = await access(join(home, 'installation-id')).then(
    () => true,
    () => false,
  );
  if (wasThere) {
    await stopWorkloads(home, environment);
    await endServers(home);
  }
  for (const name of [home, join(directory, 'forge')]) await rm(name, { recursive: true, force: true });
}

/** Those of a demo that was killed run on, as they shall for a Bough that starts again. Their data is not missed. */
async function endServers(home: string): Promise<void> {
  const path = await realpath(home);
  for (const { names, data } of [
    { names: ['postgres'], data: join(path, 'postgres/data') },
    { names: ['redis-server', 'valkey-server'], data: join(path, 'redis/data') },
  ]) {
    const identity = await findServer(names, data);
    if (identity === undefined) continue;
    await endProcess(identity, [
      { signal: 'SIGQUIT', waitMs: 5_000 },
      { signal: 'SIGKILL', waitMs: 5_000 },
    ]);
  }
}
