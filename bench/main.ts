import { createShutdown } from '@bough/boot/signals';
import { type Benchmark, parseCall } from './benchmark.ts';
import { deploy } from './deploy.ts';
import { webhook } from './webhook.ts';

const benchmarks: Readonly<Record<string, Benchmark>> = { deploy, webhook };

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
const call = parseCall(benchmarks, process.argv.slice(2));
try {
  const report = await call.benchmark.run(call.numbers, {
    shutdown,
    environment: process.env,
    onProgress: (text) => {
      const seconds = (performance.now() / 1000).toFixed(1).padStart(6);
      process.stderr.write(`${seconds} s  ${text}\n`);
    },
  });
  process.stdout.write(call.isJson ? `${JSON.stringify(report.json, null, 2)}\n` : `\n${report.text}\n`);
} catch (error) {
  process.exitCode = 1;
  if (!shutdown.signal.aborted) console.error(error);
}
const isClean = await shutdown.shutDown('the benchmark is over');
process.exit(isClean ? process.exitCode : 1);
