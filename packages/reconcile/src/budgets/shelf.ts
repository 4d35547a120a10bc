import type { BudgetKind, Kept } from '@bough/domain/budget';

/** Things of one kind that have a budget together. Whoever needs one that is gone makes, fetches or does without it. */
export interface Shelf {
  readonly kind: BudgetKind;
  readonly budgetBytes: number;
  list(signal: AbortSignal): Promise<Kept[]>;
  remove(key: string, signal: AbortSignal): Promise<void>;
}
