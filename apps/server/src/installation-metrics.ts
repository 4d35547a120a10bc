import { statfs } from 'node:fs/promises';
import { type BudgetRow, listBudgets } from '@bough/store/budgets';
import { countEnvironments } from '@bough/store/environments';
import { listNewestGoldens } from '@bough/store/snapshots';
import type { ServerOptions } from './options.ts';

/**
 * The state of the whole installation, asked at each scrape; a store or disk that cannot be asked leaves its series out.
 * docs/alerts.yml alerts on them.
 */
export function registerInstallationMetrics({
  metrics,
  pool,
  logsDir,
}: Pick<ServerOptions, 'metrics' | 'pool' | 'logsDir'>): void {
  metrics.gauge({
    name: 'bough_environments',
    help: 'Living environments by kind and phase',
    labels: ['kind', 'phase'],
    async collect(gauge) {
      const counted = await countEnvironments(pool).catch(() => []);
      gauge.reset();
      for (const { kind, phase, count } of counted) gauge.set({ kind, phase }, count);
    },
  });
  metrics.gauge({
    name: 'bough_golden_age_seconds',
    help: 'How old the data is that new previews get: of each parent the newest golden snapshot, of those the oldest',
    async collect(gauge) {
      const goldens = await listNewestGoldens(pool).catch(() => []);
      const ages = goldens.flatMap(({ frozenAt }) =>
        frozenAt === null ? [] : [Date.now() - frozenAt.getTime()],
      );
      gauge.reset();
      if (ages.length > 0) gauge.set(Math.max(...ages) / 1000);
    },
  });
  const kept = (name: string, help: string, of: (budget: BudgetRow) => number) =>
    metrics.gauge({
      ...{ name, help, labels: ['kind'] },
      async collect(gauge) {
        const budgets = await listBudgets(pool).catch(() => []);
        gauge.reset();
        for (const budget of budgets) gauge.set({ kind: budget.kind }, of(budget));
      },
    });
  kept('bough_kept_bytes', 'What may be needed again, as measured last', ({ usedBytes }) => usedBytes);
  kept('bough_kept_pinned_bytes', 'Of it, in use', ({ pinnedBytes }) => pinnedBytes);
  kept('bough_kept_budget_bytes', 'What it may take', ({ budgetBytes }) => budgetBytes);
  kept('bough_pruned_bytes', 'All that was ever pruned', ({ prunedBytes }) => prunedBytes);
  metrics.gauge({
    name: 'bough_disk_free_bytes',
    help: 'What an ordinary user may still write on the disk of BOUGH_HOME',
    async collect(gauge) {
      const disk = await statfs(logsDir).catch(() => undefined);
      gauge.reset();
      if (disk !== undefined) gauge.set(disk.bavail * disk.bsize);
    },
  });
}
