import { DEFAULT_FORKS, type ForksPolicy } from './forks-policy.ts';

/** `previews:` as the default branch has it: which pull requests get a preview, and how such a preview lives. */
export interface PreviewPolicy {
  /** Null: open, but for previews that hold cloned data. */
  readonly access: 'open' | 'basic' | 'link' | null;
  /** Any of them makes a preview. */
  readonly triggers: readonly Trigger[];
  readonly drafts: 'yes' | 'no' | 'lazy';
  readonly bots: 'yes' | 'no' | 'lazy';
  /** Bots whose code counts as that of people who may write; all others are held like forks. */
  readonly trustedBots: readonly string[];
  /** Address and comment at once; built and started on the first visit. */
  readonly lazy: boolean;
  /** Without a visit or a change for so long, it is put to sleep; null: never for that. */
  readonly idleSeconds: number | null;
  /** The same, until it is removed. */
  readonly expiresSeconds: number | null;
  readonly forks: ForksPolicy;
  readonly limits: { readonly environments: number | null; readonly awake: number | null };
  /** By label; the highest of a pull request's counts, 0 without one. */
  readonly priorities: readonly { readonly label: string; readonly priority: number }[];
}

/** `comment`: only when somebody asks. `when`: all of what is said must hold. */
export type Trigger =
  | { readonly kind: 'all' }
  | { readonly kind: 'comment' }
  | { readonly kind: 'when'; readonly label: string | null; readonly paths: readonly string[] | null };

/** What counts where nothing is written. */
export const DEFAULT_PREVIEWS: PreviewPolicy = {
  access: null,
  triggers: [{ kind: 'all' }],
  drafts: 'yes',
  bots: 'yes',
  trustedBots: [],
  lazy: false,
  forks: DEFAULT_FORKS,
  idleSeconds: null,
  expiresSeconds: null,
  limits: { environments: null, awake: null },
  priorities: [],
};
