import { randomBytes } from 'node:crypto';
import { loadavg } from 'node:os';
import { burstEnvironment, burstProject, runBurst } from '../test/e2e/burst.ts';
import { connectRepository, openStage } from '../test/e2e/stage.ts';
import type { Benchmark, Report, Surroundings } from './benchmark.ts';
import { leftBehind } from './left-behind.ts';
import { describeMachine } from './machine.ts';
import { table } from './table.ts';

const SETTLED_MS = 20 * 60_000;
const LEFT_MS = 120_000;

/** What a burst of webhooks costs, and whether anything is done twice or left undone, while the worker is killed twice. */
export const burst: Benchmark = {
  about: 'a burst of webhooks on a few pull requests, the worker killed twice in between',
  numbers: { pulls: 50, webhooks: 1_000 },
  run: async ({ pulls = 50, webhooks = 1_000 }, surroundings) => await measure(pulls, webhooks, surroundings),
};

async function measure(pulls: number, webhooks: number, surroundings: Surroundings): Promise<Report> {
  const { shutdown, onProgress } = surroundings;
  const secret = randomBytes(24).toString('hex');
  const stage = await openStage({ environment: burstEnvironment(secret) });
  shutdown.onShutdown('stage', () => stage.close());
  const tiny = await connectRepository(stage.forge, [stage], { name: 'tiny', files: await burstProject() });
  const found = await runBurst(stage, tiny, { pulls, webhooks, secret, timeoutMs: SETTLED_MS, onProgress });
  onProgress('closing the pull requests');
  for (const { number } of found.pulls) await tiny.close(number);
  for (const { slug } of found.pulls) await stage.untilRemoved(slug);
  const left = await leftBehind(stage, tiny, found.pulls, LEFT_MS);
  const underWay = found.inFlight.reduce((sum, count) => sum + count, 0);
  const allowed = pulls + underWay;
  const rows = [
    ['pull requests', String(pulls), ''],
    ['webhooks sent, accepted', `${webhooks}, ${found.accepted}`, verdict(found.accepted === webhooks)],
    ['deployments under way at the kills', found.inFlight.join(', '), ''],
    [
      'deployments begun',
      String(found.deployments),
      verdict(found.deployments <= allowed, `at most ${pulls} + ${underWay}`),
    ],
    // It throws when one never gets there.
    ['environments at their newest commit', `${pulls} of ${pulls}`, verdict(true)],
    ['until then, from the first webhook', `${(found.settledMs / 1000).toFixed(1)} s`, ''],
    ['left over when all are closed', String(left.length), verdict(left.length === 0)],
  ];
  const isKept = found.accepted === webhooks && found.deployments <= allowed && left.length === 0;
  const machine = describeMachine();
  const { pulls: _, ...json } = found;
  const text = [
    `${machine.cores} cores, ${machine.model}, Node ${machine.node}, load ${loadavg()[0]?.toFixed(1)}`,
    '',
    table(['', '', 'promise'], rows),
    ...left.map((what) => `left over: ${what}`),
    isKept ? 'as promised' : 'NOT as promised',
  ].join('\n');
  return { text, json: { ...json, pulls, webhooks, allowed, left }, isKept };
}

function verdict(isKept: boolean, promise = ''): string {
  return `${promise} ${isKept ? 'kept' : 'BROKEN'}`.trim();
}
