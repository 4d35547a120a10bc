import type { Metrics } from '@bough/boot/metrics';
import { createShares, type Shares } from '@bough/domain/shares';
import { publishFeedback } from '@bough/feedback/publish';
import type { Consumer, Outcome } from '@bough/queue/consumer';
import type { Queues } from '@bough/queue/queue';
import { PRUNE_KEY, prune } from '@bough/reconcile/budgets/prune';
import type { Context } from '@bough/reconcile/context';
import { observe, parseKey } from '@bough/reconcile/observe';
import { reconcile } from '@bough/reconcile/reconcile';
import { refreshData } from '@bough/reconcile/refresh-data';
import { rehearse } from '@bough/reconcile/rehearse/rehearse';
import { pollAll, resync } from '@bough/reconcile/resync';
import { wake } from '@bough/reconcile/wake';
import type { WorkerConfig } from './config.ts';

/** Of which one project has half at most: while the forge keeps it waiting, the others are looked at. */
const OBSERVES = 16;
const FEEDBACKS = 16;
const SHARE_MS = 500;
const CAPTURES = 2;
/** A visitor waits for each: as many as a machine starts at once. */
const WAKES = 4;
/** What a rehearsal measures is time: two at once would measure each other. */
const REHEARSALS = 1;
const THOROUGH_EVERY_MS = 3_600_000;
/** Repositories whose webhooks cannot reach us are asked this often; unchanged answers cost no rate limit. */
const POLL_MS = 10_000;

/** Somebody asked: what nobody uses goes now, as far as the budgets say. */
async function pruneNow(context: Context, signal: AbortSignal): Promise<Outcome> {
  await prune(context, signal);
  return { kind: 'done' };
}

async function observeInTurn(
  context: Context,
  key: string,
  signal: AbortSignal,
  shares: Shares,
): Promise<Outcome> {
  const leave = shares.enter(parseKey(key).projectId);
  if (leave === undefined) return { kind: 'again', delayMs: SHARE_MS };
  try {
    return await observe(context, key, signal);
  } finally {
    leave();
  }
}

/** Connects the queues to what they are for. Every job is a key: look at this subject, at this environment. */
export function consumeAll(
  context: Context,
  config: Pick<WorkerConfig, 'reconciles' | 'resyncMs'>,
  queues: Queues,
  metrics: Pick<Metrics, 'counter'>,
): { consumers: Consumer[]; stop(): void } {
  const corrections = metrics.counter({
    name: 'bough_resync_corrections_total',
    help: 'Differences that resync found and corrected. Flat in a healthy installation.',
    values: { kind: ['subjects', 'environments', 'deliveries', 'redelivered', 'reaped'] },
  });
  const outcomes = metrics.counter({
    name: 'bough_reconciles_total',
    help: 'Looks at an environment, by what came of them.',
    values: { outcome: ['done', 'again'] },
  });
  const looks = createShares(OBSERVES / 2);
  const words = createShares(FEEDBACKS / 2);
  let thoroughAt = 0;
  const consumers = [
    queues.consume('observe', (key, signal) => observeInTurn(context, key, signal, looks), {
      concurrency: OBSERVES,
    }),
    queues.consume(
      'reconcile',
      async (key, signal) => {
        const outcome = await reconcile(context, key, signal);
        outcomes.inc({ outcome: outcome.kind });
        return outcome;
      },
      { concurrency: config.reconciles },
    ),
    queues.consume('wake', (key, signal) => wake(context, key, signal), { concurrency: WAKES }),
    queues.consume('feedback', (key) => publishFeedback({ ...context, shares: words }, key), {
      concurrency: FEEDBACKS,
    }),
    queues.consume('rehearse', (key, signal) => rehearse(context, key, signal), {
      concurrency: REHEARSALS,
    }),
    queues.consume('data', (key, signal) => refreshData(context, key, signal), { concurrency: CAPTURES }),
    queues.consume(
      'resync',
      async (key, signal) => {
        if (key === 'poll') return await pollAll(context, signal);
        if (key === PRUNE_KEY) return await pruneNow(context, signal);
        const thorough = context.clock.now().getTime() - thoroughAt >= THOROUGH_EVERY_MS;
        const found = await resync(context, { thorough, signal });
        if (thorough) thoroughAt = context.clock.now().getTime();
        for (const [kind, count] of Object.entries(found)) corrections.inc({ kind }, count);
        return { kind: 'done' };
      },
      { concurrency: 1 },
    ),
  ];
  const timers = [queues.every('resync', 'all', config.resyncMs), queues.every('resync', 'poll', POLL_MS)];
  return {
    consumers,
    stop() {
      for (const timer of timers) timer.stop();
    },
  };
}
