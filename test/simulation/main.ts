import { parseArgs } from 'node:util';
import { startTestPostgres } from '@bough/testkit/test-database';
import { openSimDatabase } from './database.ts';
import { huntMutation } from './hunt-mutation.ts';
import { mutations } from './mutations.ts';
import { describeCoverage, describeFailure, uncrashed } from './report.ts';
import { range, runSeeds } from './run-seeds.ts';
import { simulate } from './simulate.ts';

const USAGE = `npm run simulate -- --seed N [--aim AWAIT] [--also AWAIT]… [--verbose]  one history again
npm run simulate -- --seeds N [--from N] [--lanes N]  many, with what was covered
npm run simulate -- --mutations [--only WORDS]        each guard taken away: does it show?`;

const PROGRESS_EVERY = 100;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    aim: { type: 'string' },
    also: { type: 'string', multiple: true, default: [] },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    lanes: { type: 'string', default: '3' },
    mutations: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    verbose: { type: 'boolean', default: false },
  },
});
const print = (text: string) => void process.stdout.write(`${text}\n`);
const stop = new AbortController();
// Interrupted, a run says what it came to, and leaves no Postgres behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
const postgres = await startTestPostgres();
try {
  if (values.seed !== undefined) process.exitCode = await one(Number(values.seed));
  else if (values.mutations) process.exitCode = await everyMutation();
  else if (values.seeds !== undefined) process.exitCode = await many(Number(values.seeds));
  else print(USAGE);
} finally {
  await postgres.stop();
}

async function one(seed: number): Promise<number> {
  const database = await openSimDatabase(postgres.url);
  try {
    const onLine = values.verbose ? print : undefined;
    const result = await simulate({ seed, aim: values.aim, also: values.also, database, onLine });
    if (result.failure !== undefined) print(describeFailure(result));
    else print(values.verbose ? 'nothing is broken' : [...result.history, 'nothing is broken'].join('\n'));
    return result.failure === undefined ? 0 : 1;
  } finally {
    await database.close();
  }
}

async function many(count: number): Promise<number> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  let done = 0;
  let failed = 0;
  const run = await runSeeds({
    ...{ adminUrl: postgres.url, lanes: Number(values.lanes), signal: stop.signal },
    seeds: range(Number(values.from), count),
    onResult(result) {
      done += 1;
      if (result.failure !== undefined) {
        failed += 1;
        print(describeFailure(result));
      }
      if (done % PROGRESS_EVERY !== 0) return;
      const left = (seconds() / done) * Math.max(0, count - done);
      print(
        `${done} of ${count} histories, ${failed} failed, ${seconds().toFixed(0)} s, about ${(left / 60).toFixed(0)} min left`,
      );
    },
  });
  print(describeCoverage(run.histories + run.again, run.counts));
  const missed = uncrashed(run.counts, 1);
  if (missed.length > 0)
    print(
      `never crashed (histories that came by): ${missed.map((name) => `${name} (${run.counts.awaits.get(name)})`).join(', ')}`,
    );
  const isWhole = run.histories === count;
  print(
    `seeds ${values.from} to ${Number(values.from) + run.histories - 1}: ${run.histories} histories and ${run.again} again for awaits that were missed, ${run.steps} steps, ${seconds().toFixed(1)} s`,
  );
  const isGood = run.failures.length === 0 && missed.length === 0 && isWhole;
  const wrong = [
    ...(run.failures.length > 0 ? [`${run.failures.length} histories broke an invariant`] : []),
    ...(missed.length > 0 ? [`${missed.length} awaits were never crashed at`] : []),
    ...(isWhole ? [] : [`it ended after ${run.histories} of ${count} histories`]),
  ];
  print(isGood ? '✓ no invariant is broken, and processes died at every await' : `✗ ${wrong.join('; ')}`);
  return isGood ? 0 : 1;
}

async function everyMutation(): Promise<number> {
  let missed = 0;
  for (const mutation of mutations.filter(({ name }) => name.includes(values.only))) {
    const found = await huntMutation(postgres.url, mutation, 200, stop.signal);
    if (stop.signal.aborted) return 1;
    if (found === undefined) missed += 1;
    print(
      `${found === undefined ? '✗ unnoticed' : '✓'} ${mutation.name}${found === undefined ? '' : ` (seed ${found.seed}: ${found.text})`}`,
    );
  }
  return missed === 0 ? 0 : 1;
}
