import type { RepositoryRef } from '../forge.ts';
import { accessByToken } from '../git/git-access.ts';
import { fetchIntoMirror } from '../git/mirror.ts';
import type { GitHubContext } from './context.ts';
import { FETCH_TIMEOUT_MS } from './fetch-commit.ts';

/**
 * A repository named by `.gitmodules`, so by whoever wrote the commit. Only the forge's own host gets credentials, and
 * those of an App cover the project's repository alone: a submodule must not be a way to read what its author may not.
 */
export async function fetchSubmodule(
  context: GitHubContext,
  repository: RepositoryRef,
  submodule: { url: string; mirror: string; commit: string; anonymous?: boolean; signal?: AbortSignal },
): Promise<'fetched' | 'elsewhere'> {
  const own = new URL(context.cloneUrlFor(repository));
  const url = httpUrl(submodule.url, own);
  if (url === undefined) return 'elsewhere';
  const { mirror, commit, signal } = submodule;
  const access = async () =>
    accessByToken(url, await context.credentials.forGit(repository, 'repository', signal));
  await fetchIntoMirror({
    git: context.options.gitCommand,
    mirror,
    url,
    commit,
    foreign: true,
    ...(submodule.anonymous ? {} : { access }),
    timeoutMs: context.options.fetchTimeoutMs ?? FETCH_TIMEOUT_MS,
    signal,
  });
  return 'fetched';
}

/** The address over HTTP on our host, also for `git@host:owner/name` and `ssh://`; undefined for other hosts. */
function httpUrl(text: string, own: URL): string | undefined {
  const scp = /^(?:[\w.-]+@)?([\w.-]+):(?!\/\/)(.+)$/.exec(text);
  if (scp?.[1] === own.hostname && scp[2] !== undefined) return `${own.origin}/${scp[2].replace(/^\/+/, '')}`;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol === 'ssh:' && url.hostname === own.hostname) return `${own.origin}${url.pathname}`;
  if (url.origin !== own.origin) return undefined;
  return `${url.origin}${url.pathname}`;
}
