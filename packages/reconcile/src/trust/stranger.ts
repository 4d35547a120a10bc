import { BoughError } from '@bough/domain/bough-error';
import type { Environment } from '@bough/domain/environment';
import type { Forge, PullRequest, RepositoryRef } from '@bough/forge/forge';
import type { PreviewPolicy } from '@bough/manifest/preview-policy';

/** Why the code of a pull request is not of people who may write to the repository. */
export type Stranger =
  | { readonly kind: 'fork' }
  | { readonly kind: 'outsider' | 'bot' | 'unknown'; readonly author: string };

/** The head's repository is another one, or was deleted (DESIGN §10). Names prove nothing: ids do. */
export function isFork(pull: PullRequest): boolean {
  return pull.head.repositoryId === null || pull.head.repositoryId !== pull.base.repositoryId;
}

/**
 * Whether a pull request is a stranger's. That its branch is in the repository says that whoever pushed it might write there then;
 * who proposes it may still be anybody, and a bot writes what its input says. So the author is asked about too, of the forge, because
 * `author_association` proves nothing: once for each preview, since nobody pushes to that branch later who may not write.
 */
export async function findStranger(of: {
  readonly forge: Pick<Forge, 'permission'>;
  readonly repository: RepositoryRef;
  readonly pull: PullRequest;
  readonly policy: Pick<PreviewPolicy, 'trustedBots'> | undefined;
  readonly current: Pick<Environment, 'trust' | 'desiredState'> | undefined;
}): Promise<Stranger | undefined> {
  const { pull, policy, current } = of;
  const { author } = pull;
  if (isFork(pull)) return { kind: 'fork' };
  if (pull.authorIsBot)
    return policy?.trustedBots.some((bot) => isSameBot(bot, author)) ? undefined : { kind: 'bot', author };
  if (current?.trust === 'trusted' && current.desiredState !== 'absent') return undefined;
  try {
    const level = await of.forge.permission(of.repository, author);
    return level === 'admin' || level === 'write' ? undefined : { kind: 'outsider', author };
  } catch (error) {
    if (!(error instanceof BoughError) || error.retryable || !FINAL.has(error.code)) throw error;
    return { kind: 'unknown', author };
  }
}

/** GitHub calls Renovate `renovate[bot]`; people write either. */
function isSameBot(named: string, author: string): boolean {
  const bare = (login: string) => login.toLowerCase().replace(/\[bot\]$/, '');
  return bare(named) === bare(author);
}

const FINAL: ReadonlySet<string> = new Set(['forge-forbidden', 'forge-rejected']);

/** As the beginning of a sentence. */
export function strangerWords(stranger: Stranger): string {
  switch (stranger.kind) {
    case 'fork':
      return 'it comes from a fork';
    case 'outsider':
      return `its author ${stranger.author} may not write to this repository`;
    case 'bot':
      return `its author ${stranger.author} is a bot that \`previews.trusted_bots\` of the default branch does not name`;
    case 'unknown':
      return `the forge does not tell whether its author ${stranger.author} may write to this repository`;
  }
}
