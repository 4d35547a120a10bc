import { randomBytes } from 'node:crypto';
import { burstEnvironment, burstProject, runBurst } from '../test/e2e/burst.ts';
import { connectRepository, openStage } from '../test/e2e/stage.ts';
import type { Benchmark, Report, Surroundings } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { table } from './table.ts';

const SETTLED_MS = 20 * 60_000;

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
  const allowed = pulls + found.inFlight.reduce((sum, count) => sum + count, 0);
  const rows = [
    ['pull requests', String(pulls)],
    ['webhooks sent, accepted', `${webhooks}, ${found.accepted}`],
    ['deployments under way at the kills', found.inFlight.join(', ')],
    ['deployments begun, allowed', `${found.deployments}, ${allowed}`],
    ['until all were at their newest commit', `${(found.settledMs / 1000).toFixed(1)} s`],
  ];
  const machine = describeMachine();
  const { pulls: _, ...json } = found;
  return {
    text: `${machine.cores} cores, ${machine.model}, Node ${machine.node}\n\n${table(['', ''], rows)}\n${found.deployments <= allowed && found.accepted === webhooks ? 'as promised' : 'NOT as promised'}`,
    json: { ...json, pulls, webhooks, allowed },
  };
}
