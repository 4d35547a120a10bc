import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Benchmark, Report, Surroundings } from './benchmark.ts';
import { describeMachine, observeMachine, watchMachine } from './machine.ts';
import { startBoughTarget } from './webhook-bough.ts';
import { startPeerTarget } from './webhook-peer.ts';
import { type Round, reportWebhook } from './webhook-report.ts';
import { sendLoad, type Target } from './webhook-target.ts';

const WARM_UP_SECONDS = 5;

/**
 * Signed deliveries at a steady rate against Bough's server, which stores and queues each before it answers, beside a
 * Probot app that only answers; the same load, in turn, in one run on one machine.
 */
export const webhook: Benchmark = {
  about: 'p99 of the answer to webhooks, stored and queued, beside a Probot app that only answers',
  numbers: { rate: 300, seconds: 20, rounds: 3 },
  run: async ({ rate = 300, seconds = 20, rounds = 3 }, surroundings) =>
    await measure({ rate, seconds, rounds }, surroundings),
};

async function measure(
  wanted: { rate: number; seconds: number; rounds: number },
  surroundings: Surroundings,
): Promise<Report> {
  const { shutdown, onProgress } = surroundings;
  const { rate, seconds, rounds } = wanted;
  const directory = await mkdtemp(join(tmpdir(), 'bough-bench-'));
  shutdown.onShutdown('directory', () => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const secret = randomBytes(24).toString('hex');
  const bough = await startBoughTarget({ directory, secret }, surroundings);
  const peer = await startPeerTarget({ directory, secret }, surroundings);

  // Each delivery of the whole run is about a number of its own.
  let firstNumber = 1;
  const send = async (target: Target, prefix: string, forSeconds: number, atRate: number) => {
    const load = { secret, rate: atRate, seconds: forSeconds, firstNumber, prefix };
    firstNumber += atRate * forSeconds;
    return await sendLoad(target, load, surroundings);
  };
  onProgress(`warming up: ${WARM_UP_SECONDS} s each`);
  for (const target of [bough.target, peer]) await send(target, 'warm-up', WARM_UP_SECONDS, rate);
  const before = await observeMachine(directory);
  const watch = watchMachine(directory, shutdown.signal);
  const measured: Round[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const ours = await send(bough.target, 'bench', seconds, rate);
    const theirs = await send(peer, 'bench', seconds, rate);
    measured.push({ bough: ours, peer: theirs });
    const words = [ours, theirs].map((result) => result.answerMs.p99.toFixed(1));
    onProgress(`round ${round}/${rounds}: p99 ${words[0]} ms, ${peer.name} ${words[1]} ms`);
  }
  const during = await watch.stop();
  const proof = await bough.prove();
  const after = await observeMachine(directory);
  return reportWebhook({
    ...wanted,
    rounds: measured,
    peer: peer.name,
    queueStore: bough.queueStore,
    proof,
    noise: { machine: describeMachine(), before, during, after },
  });
}
