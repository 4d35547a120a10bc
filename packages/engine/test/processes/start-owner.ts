import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compiledProgram } from '@bough/testkit/compiled-programs';

export interface Owner {
  readonly child: ChildProcess;
  /** Resolves with the first line that starts so; rejects when the process ends before. */
  line(start: string): Promise<string>;
  kill(): Promise<void>;
}

/** Starts owner.ts as another process, as another user when asked. */
export async function startOwner(
  args: readonly string[],
  user: { uid: number; gid: number } | object = {},
): Promise<Owner> {
  const script = fileURLToPath(new URL('./owner.ts', import.meta.url));
  const child = spawn(process.execPath, [await compiledProgram(script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...user,
  });
  let text = '';
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stdout?.setEncoding('utf8');
  child.stdout?.on('data', (chunk: string) => {
    text += chunk;
    child.emit('said');
  });
  return {
    child,
    line: (start) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = text
            .split('\n')
            .slice(0, -1)
            .find((line) => line.startsWith(start));
          if (found !== undefined) resolve(found);
        };
        child.on('said', look);
        child.once('close', () => reject(new Error(`it ended before it said "${start}": ${text}`)));
        look();
      }),
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
