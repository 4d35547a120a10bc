import { z } from 'zod';

/** What `bough branch` made an environment of. */
export const BranchOf = z.object({
  /** The subject whose code, and maybe data, it started with: `production`, `pull/7`. */
  from: z.string().max(300),
  data: z.enum(['golden', 'none']),
  /** The very golden snapshot that the source descends from; null: production's newest. */
  snapshotId: z.string().regex(/^\d+$/).nullable(),
});
export type BranchOf = z.infer<typeof BranchOf>;

/** The argument of the `open` request that asks for one, decided when it was asked for: nothing of it moves later. */
export const BranchOrder = z.object({
  branchOf: BranchOf,
  commit: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/),
  expiresAt: z.iso.datetime(),
});
export type BranchOrder = z.infer<typeof BranchOrder>;

/** Undefined for every other argument: that of `bough env open --branch` is none. */
export function readBranchOrder(argument: string | null): BranchOrder | undefined {
  if (argument === null || !argument.startsWith('{')) return undefined;
  try {
    return BranchOrder.safeParse(JSON.parse(argument)).data;
  } catch {
    return undefined;
  }
}

/** Words that mean something else in an address or on the command line. */
const RESERVED: ReadonlySet<string> = new Set(['production', 'list', 'delete', 'help']);
const NAME_LENGTH_MAX = 30;

/** Why a name cannot be one: it becomes a part of host names, where `--` separates the parts. Undefined: it can. */
export function branchNameProblem(name: string): string | undefined {
  if (RESERVED.has(name)) return `"${name}" means something else`;
  if (/^pr-\d+$/.test(name)) return `"${name}" is what pull requests are called`;
  if (name.length > NAME_LENGTH_MAX) return `it has more than ${NAME_LENGTH_MAX} characters`;
  if (/^[a-z](?:-?[a-z0-9])*$/.test(name)) return undefined;
  return 'it must be lower case letters, digits and single hyphens, and begin with a letter';
}
