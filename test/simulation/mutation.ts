import type { Forge } from '@bough/forge/forge';
import type { Context } from '@bough/reconcile/context';

/** A guard that is taken away, by putting something else in the place of what the product works with. */
export interface Mutation {
  readonly name: string;
  /** The invariants of which at least one must notice. */
  readonly breaks: readonly string[];
  /** What the product would be without its guard. */
  readonly statement?: (text: string) => string;
  readonly forge?: (forge: Forge) => Forge;
  readonly context?: (context: Context) => Context;
  readonly losesAddsWhileActive?: boolean;
  /** Where a crash helps to show it. */
  readonly aim?: string;
  /** A history in which it showed: tried first, for the sake of time. */
  readonly seed?: number;
}
