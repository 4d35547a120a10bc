import { setTimeout as delay } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import { sizeWords } from '@bough/storage/size-words';
import type { Command } from 'commander';
import { age, EXIT, table } from '../output.ts';
import type { VerbContext } from '../verb.ts';
import { BudgetsView } from './views.ts';

const LOOK_MS = 500;
/** Measuring reads every directory of what is kept. */
const PRUNE_MS = 10 * 60_000;

/** `bough storage show` and `prune`: what may grow, and its bounds. */
export function budgetVerbs(storage: Command, context: VerbContext): void {
  storage
    .command('show')
    .description(
      'what may grow, its budgets, and what was pruned; exit code 3 when something cannot be measured',
    )
    .action(async () => print(context, await read(context)));
  storage
    .command('prune')
    .description('measure now, and remove what is beyond its budget and not in use')
    .action(async () => print(context, await prune(context)));
}

async function read(context: VerbContext): Promise<BudgetsView> {
  return BudgetsView.parse(await (await context.api()).get('/storage/budgets'));
}

async function prune(context: VerbContext): Promise<BudgetsView> {
  const before = measuredAt(await read(context));
  const answer = await (await context.api()).send('POST', '/storage/prune', {
    askedBy: context.config.user,
  });
  if ((answer as { queued?: unknown } | null)?.queued !== true) throw notQueued();
  for (const deadline = Date.now() + PRUNE_MS; Date.now() < deadline; ) {
    await delay(LOOK_MS);
    const now = await read(context);
    if (measuredAt(now) > before) return now;
  }
  throw new BoughError({
    code: 'prune-unanswered',
    message: `Nothing was pruned within ${PRUNE_MS / 60_000} min.`,
    hint: "The worker may be busy: `bough storage show` later, or look into the worker's log.",
  });
}

/** Of the kind that was measured longest ago; they are measured together, one after the other. */
function measuredAt({ budgets }: BudgetsView): number {
  return budgets.length === 0 ? 0 : Math.min(...budgets.map((budget) => Date.parse(budget.measuredAt)));
}

function notQueued(): BoughError {
  return new BoughError({
    code: 'queue-unavailable',
    message: 'The queue store does not answer, so nobody was asked to prune.',
    hint: 'It happens by itself once the queue store is back.',
  });
}

function print(context: VerbContext, view: BudgetsView): void {
  context.output.result(view, () => describe(view));
  if (view.budgets.some(({ failure }) => failure !== null)) process.exitCode = EXIT.unwell;
}

function describe({ budgets }: BudgetsView): string {
  if (budgets.length === 0) return 'Nothing was measured yet; `bough storage prune` does it now.';
  const rows = budgets.map((budget) => [
    budget.kind,
    sizeWords(budget.usedBytes),
    sizeWords(budget.budgetBytes),
    sizeWords(budget.pinnedBytes),
    String(budget.items),
    budget.prunedAt === null ? 'never' : `${sizeWords(budget.prunedBytes)}, last ${age(budget.prunedAt)}`,
    age(budget.measuredAt),
  ]);
  return [
    table(['KEPT', 'USED', 'BUDGET', 'IN USE', 'ITEMS', 'PRUNED', 'MEASURED'], rows),
    ...budgets.flatMap(({ kind, failure }) => (failure === null ? [] : [`${kind}: ${failure}`])),
  ].join('\n');
}
