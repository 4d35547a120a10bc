import { createQueues } from '../src/queue.ts';

/**
 * A consumer in a process of its own, so that a test can kill or freeze it. Prints `ready`, `started <key>` and
 * `aborted <key>`; a run never ends by itself.
 */
const [, , kind, url, prefix] = process.argv;
if ((kind !== 'redis' && kind !== 'postgres') || !url || !prefix) throw new Error('usage: kind url prefix');

const say = (line: string) => process.stdout.write(`${line}\n`);
const silent = { info() {}, warn() {}, error() {} };
const queues = await createQueues({
  connection: { kind, url },
  prefix,
  log: silent,
  stall: { lockMs: 1_000, checkMs: 500 },
});
queues.consume(
  'reconcile',
  (key, signal) => {
    say(`started ${key}`);
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        say(`aborted ${key}`);
        reject(signal.reason);
      });
    });
  },
  { concurrency: 2 },
);
say('ready');
