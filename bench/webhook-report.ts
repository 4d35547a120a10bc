import type { Report } from './benchmark.ts';
import { type Noise, noiseWords } from './machine.ts';
import { spreadOf } from './spread.ts';
import { ms, table } from './table.ts';
import type { Proof } from './webhook-bough.ts';
import type { Effort, LoadResult } from './webhook-target.ts';

const P99_MS_MAX = 20;

type Result = LoadResult & Effort;

export interface Round {
  readonly bough: Result;
  readonly peer: Result;
}

export function reportWebhook(measured: {
  rate: number;
  seconds: number;
  rounds: readonly Round[];
  peer: string;
  queueStore: string;
  proof: Proof;
  noise: Noise;
}): Report {
  const { rate, seconds, rounds, peer, proof, noise } = measured;
  const [bough, other] = [rounds.map((round) => round.bough), rounds.map((round) => round.peer)];
  const p99 = spreadOf(bough.map((result) => result.answerMs.p99));
  const accepted = bough.reduce((sum, result) => sum + result.accepted, 0);
  const refused = bough.reduce((sum, result) => sum + result.refused, 0);
  const isDurable = proof.rowsInAll === accepted && refused === 0;
  const isQueued = proof.rows.queued === accepted && proof.jobsWaiting === proof.subjectsQueued;
  const isMet = p99.p50 <= P99_MS_MAX;
  const ratio = spreadOf(rounds.map((round) => round.bough.answerMs.p99 / round.peer.answerMs.p99));
  const rows = rounds.flatMap((round, index) => [
    rowOf(`${index + 1} Bough (stores, queues, answers)`, round.bough),
    rowOf(`${index + 1} ${peer} (answers)`, round.peer),
  ]);
  const text = [
    `${rate} signed deliveries a second for ${seconds} s, ${rounds.length} rounds in turn; sender, server and stores on one machine, no worker running`,
    table(
      [
        'round',
        'achieved',
        'refused',
        'p50',
        'p90',
        'p99',
        'max',
        'p99 from due',
        'cpu each: server',
        'Postgres',
      ],
      rows,
    ),
    '',
    `p99 of the answer, median of the rounds: ${ms(p99.p50, 1)} (aim ≤ ${P99_MS_MAX} ms: ${isMet ? 'met' : 'not met'}); rounds from ${ms(p99.min, 1)} to ${ms(p99.max, 1)}; ${ratio.p50.toFixed(2)} × ${peer}`,
    `Durable: ${proof.rowsInAll} rows for ${accepted} answers of 202 (${isDurable ? 'all' : 'NOT ALL'}); ${proof.durability}`,
    `Queued: ${proof.rows.queued ?? 0} rows with fate "queued"; ${proof.jobsWaiting} jobs wait for ${proof.subjectsQueued} subjects, warm-up included (${isQueued ? 'all' : 'NOT ALL'})`,
    `Queue store: ${measured.queueStore}`,
    '',
    noiseWords(noise),
  ].join('\n');
  const json = { benchmark: 'webhook', ...measured, p99, isMet, isDurable, isQueued, ratio };
  return { text, json: { ...json, peerP99: spreadOf(other.map((result) => result.answerMs.p99)) } };
}

function rowOf(name: string, result: Result): string[] {
  const { p50, p90, p99, max } = result.answerMs;
  return [
    name,
    `${result.achievedRate.toFixed(0)}/s`,
    String(result.refused),
    ...[p50, p90, p99, max, result.fromDueMs.p99].map((value) => ms(value, 1)),
    ms(result.serverMsEach, 2),
    ms(result.storeMsEach, 2),
  ];
}
