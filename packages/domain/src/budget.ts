/** What is kept because it may be needed again, and can be had again when it is not: made, fetched or done without. */
export const budgetKinds = ['artifacts', 'caches', 'mirrors', 'logs', 'snapshots'] as const;
export type BudgetKind = (typeof budgetKinds)[number];

/** One thing of a kind. */
export interface Kept {
  readonly key: string;
  readonly sizeBytes: number;
  readonly lastUsedAt: Date;
  /** In use: it stays, whatever the budget says. */
  readonly isPinned: boolean;
}

export interface Prunable extends Kept {
  readonly kind: BudgetKind;
}

/**
 * What has to go, those first that were used longest ago: of each kind what is beyond its budget, and of all kinds
 * together as much as the disk lacks. What is in use counts against the budget and never goes. Pure.
 */
export function choosePrunable(
  kinds: readonly { kind: BudgetKind; budgetBytes: number; kept: readonly Kept[] }[],
  lackingBytes: number,
): Prunable[] {
  const chosen: Prunable[] = [];
  const spared: Prunable[] = [];
  for (const { kind, budgetBytes, kept } of kinds) {
    let over = sumOf(kept) - budgetBytes;
    for (const item of leastRecentFirst(kept)) {
      (over > 0 ? chosen : spared).push({ kind, ...item });
      if (over > 0) over -= item.sizeBytes;
    }
  }
  let lacking = lackingBytes - sumOf(chosen);
  for (const item of leastRecentFirst(spared)) {
    if (lacking <= 0) break;
    chosen.push(item);
    lacking -= item.sizeBytes;
  }
  return chosen;
}

export function sumOf(kept: readonly Pick<Kept, 'sizeBytes'>[]): number {
  return kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function leastRecentFirst<Item extends Kept>(kept: readonly Item[]): Item[] {
  return kept
    .filter(({ isPinned, sizeBytes }) => !isPinned && sizeBytes > 0)
    .sort((a, b) => a.lastUsedAt.getTime() - b.lastUsedAt.getTime());
}
