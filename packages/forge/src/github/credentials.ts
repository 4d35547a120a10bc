import { Secret } from '@bough/domain/secret';
import { createAppAuth } from '@octokit/auth-app';
import { z } from 'zod';
import type { RepositoryRef } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import type { Authorization, GitHubClient } from './client.ts';
import type { GitHubForgeOptions } from './options.ts';
import { statusOf } from './to-forge-error.ts';

/** Tokens of installations live an hour; one that ends sooner than this is replaced. */
const TOKEN_MARGIN_MS = 5 * 60_000;
const CACHE_MAX = 1000;

/** How far a token for git reaches: the repository alone, or all that the App's installation covers. */
export type Reach = 'repository' | 'installation';

export interface Credentials {
  readonly kind: 'token' | 'app';
  /** For calls about one repository. */
  forRepository(repository: RepositoryRef, signal?: AbortSignal): Promise<Authorization>;
  /** For calls about the App itself; undefined with a token. */
  forApp(): Promise<Authorization> | undefined;
  forInstallation(installationId: number, signal?: AbortSignal): Promise<Authorization>;
  forGit(repository: RepositoryRef, reach: Reach, signal?: AbortSignal): Promise<Secret>;
  installationOf(
    repository: { owner: string; name: string },
    signal?: AbortSignal,
  ): Promise<number | undefined>;
}

export function createCredentials(options: GitHubForgeOptions, client: GitHubClient): Credentials {
  return options.auth.kind === 'token'
    ? tokenCredentials(options.auth.token)
    : appCredentials(options.auth, client, options.clock ?? (() => new Date()));
}

function tokenCredentials(token: Secret): Credentials {
  const authorization = { header: new Secret(`token ${token.reveal()}`), limiter: 'token' };
  return {
    kind: 'token',
    forRepository: async () => authorization,
    forApp: () => undefined,
    forInstallation: async () => authorization,
    forGit: async () => token,
    installationOf: async () => undefined,
  };
}

const InstallationToken = z.object({ token: z.string().min(1), expires_at: z.string() });
const Installation = z.object({ id: z.number() });

/**
 * Tokens are asked for and kept here rather than by @octokit/auth-app, whose list of pending requests is shared by
 * all instances in a process: two forges with equal installation ids would get each other's tokens.
 */
function appCredentials(
  auth: Extract<GitHubForgeOptions['auth'], { kind: 'app' }>,
  client: GitHubClient,
  now: () => Date,
): Credentials {
  const appAuth = createAppAuth({ appId: auth.appId, privateKey: normalizeKey(auth.privateKey.reveal()) });
  const tokens = new Map<string, Promise<{ token: Secret; expiresAt: number }>>();
  const installations = new Map<number, number>();

  async function forApp(): Promise<Authorization> {
    const { token } = await appAuth({ type: 'app' }).catch((error: unknown) => {
      throw new ForgeError({
        code: 'forge-unauthorized',
        message: 'The private key of the GitHub App cannot be used.',
        hint: 'GITHUB_APP_PRIVATE_KEY must be the PEM that GitHub made for the App, or the path of its file.',
        cause: error,
      });
    });
    return { header: new Secret(`bearer ${token}`), limiter: 'app' };
  }

  async function createToken(installationId: number, repositoryId: number | undefined, signal?: AbortSignal) {
    const { data } = await client.call(
      'POST /app/installations/{installation_id}/access_tokens',
      {
        installation_id: installationId,
        ...(repositoryId === undefined ? {} : { repository_ids: [repositoryId] }),
      },
      { authorization: await forApp(), reply: InstallationToken, signal },
    );
    return { token: new Secret(data.token), expiresAt: Date.parse(data.expires_at) };
  }

  async function tokenOf(
    installationId: number,
    repositoryId: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Secret> {
    const key = `${installationId}/${repositoryId ?? ''}`;
    const known = await tokens.get(key)?.catch(() => undefined);
    signal?.throwIfAborted();
    if (known && known.expiresAt - now().getTime() > TOKEN_MARGIN_MS) return known.token;
    const pending = createToken(installationId, repositoryId, signal);
    remember(tokens, key, pending);
    pending.catch(() => tokens.get(key) === pending && tokens.delete(key));
    return (await pending).token;
  }

  async function installationOf(repository: { owner: string; name: string }, signal?: AbortSignal) {
    const { owner, name } = repository;
    const reply = await client
      .call(
        'GET /repos/{owner}/{repo}/installation',
        { owner, repo: name },
        { authorization: await forApp(), reply: Installation, signal },
      )
      .catch((error: unknown) => {
        if (statusOf(error) === 404) return undefined;
        throw error;
      });
    return reply?.data.id;
  }

  async function lookUp(repository: RepositoryRef, signal: AbortSignal | undefined): Promise<number> {
    const id = await installationOf(repository, signal);
    if (id === undefined) {
      throw new ForgeError({
        code: 'forge-forbidden',
        message: `The GitHub App is not installed on ${repository.owner}/${repository.name}.`,
        hint: 'Install it from the App’s page (Settings → Applications), and select this repository.',
      });
    }
    remember(installations, repository.id, id);
    return id;
  }

  async function installationToken(
    repository: RepositoryRef,
    reach: Reach,
    signal: AbortSignal | undefined,
  ): Promise<{ id: number; token: Secret }> {
    const scope = reach === 'repository' ? repository.id : undefined;
    const hinted = installations.get(repository.id) ?? repository.forgeInstallationId;
    if (hinted !== undefined) {
      try {
        return { id: hinted, token: await tokenOf(hinted, scope, signal) };
      } catch (error) {
        // The App was removed and installed again, or the repository moved to another account: ask who has it now.
        const status = statusOf(error);
        if (status !== 404 && status !== 422) throw error;
      }
    }
    const id = await lookUp(repository, signal);
    return { id, token: await tokenOf(id, scope, signal) };
  }

  return {
    kind: 'app',
    forApp,
    installationOf,
    async forRepository(repository, signal) {
      const { id, token } = await installationToken(repository, 'installation', signal);
      return { header: new Secret(`token ${token.reveal()}`), limiter: `installation/${id}` };
    },
    async forInstallation(installationId, signal) {
      const token = await tokenOf(installationId, undefined, signal);
      return { header: new Secret(`token ${token.reveal()}`), limiter: `installation/${installationId}` };
    },
    async forGit(repository, reach, signal) {
      return (await installationToken(repository, reach, signal)).token;
    },
  };
}

function remember<K, V>(cache: Map<K, V>, key: K, value: V): void {
  cache.delete(key);
  cache.set(key, value);
  const oldest = cache.keys().next().value;
  if (cache.size > CACHE_MAX && oldest !== undefined) cache.delete(oldest);
}

/** Keys in a single-line variable have their line breaks written as `\n`. */
function normalizeKey(key: string): string {
  return key.includes('\\n') ? key.replaceAll('\\n', '\n') : key;
}
