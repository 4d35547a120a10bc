import { mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { freePort, isPortFree } from '@bough/boot/free-port';
import { createLogger } from '@bough/boot/logger';
import { createShutdown } from '@bough/boot/signals';
import type { Command } from 'commander';
import { pino } from 'pino';
import { finishDemo, openDemo } from '../demo/demo.ts';
import { createNarrator } from '../demo/narrator.ts';
import { startStage } from '../demo/stage.ts';
import { EXIT } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { stopWorkloads } from './down.ts';

export function demoVerb(program: Command, context: VerbContext): void {
  program
    .command('demo')
    .description('a shop, a forge, a pull request and its preview on this machine; stays up for clicking')
    .option('--once', 'go on by itself: push, merge, clean up, end')
    .option(
      '--home <directory>',
      'where it keeps its things',
      join(tmpdir(), `bough-demo-${userInfo().username}`),
    )
    .action(async (options: { once?: true; home: string }) => {
      process.exitCode = await runDemo(context, options);
    });
}

async function runDemo(context: VerbContext, options: { once?: true; home: string }): Promise<number> {
  const home = join(options.home, 'bough');
  const forgeHome = join(options.home, 'forge');
  const { environment } = context.config;
  const narrator = createNarrator({
    isTerminal: process.stdout.isTTY && options.once !== true,
    write: (text) => process.stdout.write(text),
  });
  const logFile = join(options.home, 'demo.log');
  await clear(options.home, environment);
  const log = createLogger({
    name: 'demo',
    destination: pino.destination({ dest: logFile, mkdir: true, sync: false }),
  });
  const shutdown = createShutdown({ log });
  const cleanUp = async () => {
    const isClean = await shutdown.shutDown('the demo ends');
    await clear(options.home, environment);
    return isClean;
  };
  try {
    const stage = await narrator.during('Bough, with databases of its own', async (update) =>
      startStage(
        {
          home,
          forgeHome,
          environment: { ...environment, BOUGH_LOG_FILE: logFile },
          ports: {
            server: await preferably(3000),
            gateway: await preferably(8080),
            forge: await preferably(4000),
          },
          onProgress: update,
        },
        shutdown,
        log,
      ),
    );
    const addresses = await openDemo(stage, narrator);
    narrator.say('');
    narrator.say(
      `  ${styleText('bold', 'Pull request')}  ${addresses.pullRequest}   its comment, its check; merge it there`,
    );
    narrator.say(`  ${styleText('bold', 'Preview')}       ${addresses.preview}`);
    narrator.say(`  ${styleText('bold', 'Production')}    ${addresses.production}`);
    narrator.say(
      `  ${styleText('bold', 'Bough')}         ${stage.bough.publicUrl}   token: ${join(home, 'admin-token')}`,
    );
    narrator.say('');
    if (options.once) {
      await finishDemo(stage, narrator);
    } else {
      narrator.say('Click around. Ctrl-C ends the demo and removes all of it.');
      await new Promise<void>((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
      });
      narrator.say('Removing everything …');
    }
  } catch (error) {
    narrator.say(`The log is ${logFile}; it is kept.`);
    await shutdown.shutDown('the demo failed');
    await stopWorkloads(home, environment).catch(() => 0);
    throw error;
  }
  return (await cleanUp()) ? EXIT.fine : EXIT.failed;
}

async function preferably(port: number): Promise<number> {
  return (await isPortFree(port)) ? port : await freePort();
}

/** Removes what an earlier demo left, running or not; what was downloaded stays for the next one. */
async function clear(
  directory: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  const home = join(directory, 'bough');
  await mkdir(home, { recursive: true, mode: 0o700 });
  await stopWorkloads(home, environment);
  for (const name of await readdir(home)) {
    if (name !== 'toolchains') await rm(join(home, name), { recursive: true, force: true });
  }
  await rm(join(directory, 'forge'), { recursive: true, force: true });
}
