import type { Plan } from '@bough/manifest/plan';
import { z } from 'zod';

/** A plan as the deployment's row keeps it, with the tree ids that its apps were built from. Written by us only. */
const StoredPlan = z.object({
  plan: z.custom<Plan>(
    (value) => typeof value === 'object' && value !== null && 'common' in value && 'overlay' in value,
  ),
  trees: z.record(z.string(), z.string()),
});

export function storePlan(
  plan: Plan,
  trees: ReadonlyMap<string, string>,
): { fingerprint: string; plan: z.infer<typeof StoredPlan> } {
  return { fingerprint: plan.fingerprint, plan: { plan, trees: Object.fromEntries(trees) } };
}

/** Undefined when the deployment never came as far as a plan. */
export function readStoredPlan(
  stored: unknown,
): { plan: Plan; trees: ReadonlyMap<string, string> } | undefined {
  const parsed = StoredPlan.safeParse(stored);
  return parsed.success
    ? { plan: parsed.data.plan, trees: new Map(Object.entries(parsed.data.trees)) }
    : undefined;
}
