import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@bough/boot/embedded-postgres';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import type { Measurement, RehearsalVerdict } from '@bough/domain/rehearsal';
import { Secret } from '@bough/domain/secret';
import { measureMigration } from '@bough/rehearse/measure-migration';
import { judge } from '@bough/rehearse/verdict';
import { followFile } from '@bough/testkit/follow-file';
import { createToolchain } from '@bough/toolchain/toolchain';
import pg from 'pg';
import type { Benchmark, Report, Surroundings } from './benchmark.ts';
import { describeMachine, type Noise, noiseWords, observeMachine, watchMachine } from './machine.ts';
import { ms, table } from './table.ts';

const STALL_BUDGET_MS = 2_000;
const silent = { info() {}, warn() {} };

/** What is tried, each on a copy of its own. */
const STATEMENTS = [
  'alter table orders alter code type bigint',
  'create index orders_code on orders (code)',
  'create index concurrently orders_code on orders (code)',
  'alter table orders add constraint code_sane check (code >= 0)',
  'alter table orders add constraint code_sane check (code >= 0) not valid',
] as const;

/** What the observers of a migration rehearsal say about statements on a large table. */
export const rehearsal: Benchmark = {
  about: 'what a migration rehearsal sees: stalls, locks and verdicts on a large table',
  numbers: { rows: 5_000_000 },
  run: ({ rows = 5_000_000 }, surroundings) => measure(rows, surroundings),
};

interface Result {
  readonly statement: string;
  readonly measured: Measurement;
  readonly verdict: RehearsalVerdict;
}

async function measure(rows: number, surroundings: Surroundings): Promise<Report> {
  const { shutdown, onProgress, environment } = surroundings;
  const { signal } = shutdown;
  const directory = await mkdtemp(join(tmpdir(), 'bough-bench-'));
  shutdown.onShutdown('directory', () => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const toolchain = createToolchain({
    ...{ home: join(directory, 'toolchains'), env: environment, log: silent },
    packageDirectories: embeddedPackageDirectories(),
  });
  onProgress('starting Postgres');
  const home = join(directory, 'pg');
  const postgres = await startEmbeddedPostgres({ home, toolchain, log: silent, signal, isDurable: false });
  shutdown.onShutdown('postgres', () => postgres.stop());
  const run = (database: string, ...texts: string[]) => runTexts(postgres.url, database, texts);
  onProgress(`a table of ${rows} rows`);
  await run('postgres', 'create database base');
  await run(
    'base',
    'create table orders (id int primary key, code int not null, customer int not null, state text not null, note text)',
    `insert into orders select n, n % 100000, n % 50000, 'open', md5(n::text) from generate_series(1, ${rows}) n`,
    'vacuum analyze orders',
  );
  const url = new URL(postgres.url);
  const before = await observeMachine(directory);
  const watch = watchMachine(directory, signal);
  const results: Result[] = [];
  for (const statement of STATEMENTS) {
    signal.throwIfAborted();
    await run('postgres', 'create database clone template base strategy file_copy');
    const measured = await measureMigration({
      server: {
        ...{ host: url.hostname, port: postgres.port, username: decodeURIComponent(url.username) },
        password: new Secret(decodeURIComponent(url.password)),
      },
      ...{ databases: ['clone'], hottest: ['public.orders'] },
      log: (ended) => followFile(join(home, 'postgres.log'), ended),
      run: () => run('clone', statement),
    });
    await run('postgres', 'drop database clone');
    const { verdict } = judge({
      ...{ stallBudgetMs: STALL_BUDGET_MS, services: { db: measured } },
      ...{ hook: FINE, again: FINE, previous: FINE },
    });
    results.push({ statement, measured, verdict });
    onProgress(`${statement}: ${verdict}`);
  }
  const during = await watch.stop();
  const after = await observeMachine(directory);
  const noise: Noise = { machine: describeMachine(), before, during, after };
  return report(rows, results, noise);
}

const FINE = { verdict: 'pass', note: '' } as const;

async function runTexts(server: string, database: string, texts: readonly string[]): Promise<void> {
  const target = new URL(server);
  target.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: target.toString() });
  client.on('error', () => {});
  await client.connect();
  try {
    for (const text of texts) await client.query(text);
  } finally {
    await client.end();
  }
}

function report(rows: number, results: readonly Result[], noise: Noise): Report {
  const head = [
    'statement',
    'took',
    'reads stop',
    'writes stop',
    'the server says',
    'lock',
    'held',
    'rewrite',
    'verdict',
  ];
  const lines = results.map(({ statement, measured, verdict }) => {
    const [seen] = measured.statements;
    const orders = measured.tables.find((one) => one.table === 'orders');
    return [
      statement,
      ms(seen?.durationMs),
      ms(measured.readStallMs ?? undefined),
      ms(measured.writeStallMs ?? undefined),
      ms(orders?.serverWaitMs ?? undefined),
      seen?.lock?.mode ?? '–',
      ms(seen?.lock?.heldMs),
      (seen?.rewrites.length ?? 0) > 0 ? 'yes' : 'no',
      verdict,
    ];
  });
  const looks = results.map(({ measured }) => measured);
  const text = [
    `${rows.toLocaleString('en')} rows; stalls of ${STALL_BUDGET_MS} ms are allowed; "the server says" is the longest wait for a lock in its own log`,
    table(head, lines),
    `Between two looks at the locks at most ${ms(Math.max(...looks.map(({ blindMs }) => blindMs)))}; the machine alone delayed an answer by at most ${ms(Math.max(...looks.map(({ noiseMs }) => noiseMs)))}`,
    noiseWords(noise),
  ].join('\n\n');
  return { text, json: { rows, stallBudgetMs: STALL_BUDGET_MS, results, noise } };
}
