import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { compiledProgram } from '@bough/testkit/compiled-programs';
import { expect } from 'vitest';
import type { Stage } from './stage.ts';

const captureAndDie = fileURLToPath(new URL('./fixtures/capture-and-die.ts', import.meta.url));

/** Has a worker of its own capture an environment, and be killed at a point of it: where `program` is given, while that runs. */
export async function killCapture(
  stage: Stage,
  of: { environmentId: string; point: string; program?: string },
): Promise<void> {
  const at = [of.environmentId, of.point, ...(of.program === undefined ? [] : [of.program])];
  const child = spawn(process.execPath, [await compiledProgram(captureAndDie), ...at], {
    env: await stage.bough.workerEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [errors, [, signal]] = await Promise.all([
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null, string | null]>,
  ]);
  expect({ point: of.point, signal, errors: signal === 'SIGKILL' ? '' : errors }).toMatchObject({
    signal: 'SIGKILL',
  });
}
