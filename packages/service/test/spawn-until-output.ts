import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { compiledProgram } from '@bough/testkit/compiled-programs';

/** Runs a TypeScript file in a process of its own, until it has printed a word. `kill` is SIGKILL. */
export async function spawnUntilOutput(script: string, input: string, word: string) {
  const child = spawn(process.execPath, [await compiledProgram(script)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(input);
  let output = '';
  const closed = once(child, 'close');
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no "${word}" in 30 s:\n${output}`)), 30_000);
    const look = (chunk: Buffer) => {
      output += chunk.toString();
      if (!output.includes(word)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('exit', () => {
      clearTimeout(timer);
      reject(new Error(`ended before "${word}":\n${output}`));
    });
  });
  return {
    async kill() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}
