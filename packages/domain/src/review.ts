/** What somebody who may approve a stranger's commit is shown of it. Everything in it is the stranger's: bounded, and escaped where it is rendered. */
export interface Review {
  /** Of the manifest's files, from the default branch to the commit, as git prints it; '' when they are equal. */
  readonly diff: readonly string[];
  /** Lines of it that were left out. */
  readonly diffLeftOut: number;
  /** What would be built and run; null when nothing could be, which `problem` explains. */
  readonly runs: {
    readonly commands: readonly { readonly of: string; readonly when: string; readonly command: string }[];
    readonly services: readonly string[];
    readonly routes: readonly string[];
    readonly leftOut: number;
  } | null;
  readonly problem: string | null;
  readonly network: 'public' | 'none';
}
