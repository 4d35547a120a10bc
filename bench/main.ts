import { createShutdown } from '@bough/boot/signals';
import { BoughError } from '@bough/domain/bough-error';
import { type Benchmark, parseCall, type Surroundings } from './benchmark.ts';
import { burst } from './burst.ts';
import { capacity } from './capacity.ts';
import { clone } from './clone.ts';
import { deploy } from './deploy.ts';
import { rehearsal } from './rehearsal.ts';
import { sanitize } from './sanitize.ts';
import { webhook } from './webhook.ts';

const benchmarks: Readonly<Record<string, Benchmark>> = {
  burst,
  capacity,
  clone,
  deploy,
  rehearsal,
  sanitize,
  webhook,
};

const silent = { info() {}, warn() {} };
const shutdown = createShutdown({ log: silent, timeoutMs: 120_000 });
// Ctrl-C comes twice, from the terminal and from npm; one that comes later is meant to end this at once.
const IMPATIENT_AFTER_MS = 2_000;
let interruptedAt: number | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interruptedAt ??= Date.now();
    if (Date.now() - interruptedAt > IMPATIENT_AFTER_MS) process.exit(130);
    process.stderr.write('removing everything …\n');
    void shutdown.shutDown(signal);
  });
}
try {
  const call = parseCall(benchmarks, process.argv.slice(2));
  const surroundings: Surroundings = {
    shutdown,
    environment: process.env,
    onProgress: (text) => {
      const seconds = (performance.now() / 1000).toFixed(1).padStart(6);
      process.stderr.write(`${seconds} s  ${text}\n`);
    },
  };
  const report = await call.benchmark.run(call.numbers, surroundings, call.lists);
  process.stdout.write(call.isJson ? `${JSON.stringify(report.json, null, 2)}\n` : `\n${report.text}\n`);
  if (report.isKept === false) process.exitCode = 1;
} catch (error) {
  process.exitCode = 1;
  // What fails after Ctrl-C fails because of it.
  if (!shutdown.signal.aborted) process.stderr.write(`${wordsOf(error)}\n`);
}
const isClean = await shutdown.shutDown('the benchmark is over');
process.exit(isClean ? process.exitCode : 1);

function wordsOf(error: unknown): string {
  if (!(error instanceof BoughError))
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  return [error.message, ...error.tail.map((line) => `  | ${line}`), error.hint ?? ''].join('\n').trimEnd();
}
