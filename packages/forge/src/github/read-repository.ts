import { z } from 'zod';
import type { Repository, RepositoryCoordinates } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import type { Authorization, Route } from './client.ts';
import type { GitHubContext } from './context.ts';
import { RepositoryReply, toRepository } from './replies.ts';
import { statusOf } from './to-forge-error.ts';

/** Installations that are tried for a repository known by its id alone. */
const INSTALLATIONS_MAX = 100;

/**
 * The repository as it is called now. `gone` is GitHub's 404, which it gives too to those who may not see the
 * repository: whoever removes things because of it needs more proof than this.
 */
export async function readRepository(
  context: GitHubContext,
  coordinates: RepositoryCoordinates,
  signal?: AbortSignal,
): Promise<Repository | 'gone'> {
  if ('owner' in coordinates) return readByName(context, coordinates, signal);
  const route: Route = 'GET /repositories/{id}';
  const parameters = { id: coordinates.id };
  if (coordinates.forgeInstallationId !== undefined || context.credentials.kind === 'token') {
    const authorization = await authorizationFor(context, coordinates, signal);
    return readAs(context, route, parameters, authorization, coordinates.forgeInstallationId, signal);
  }
  return searchInstallations(context, coordinates.id, signal);
}

async function readByName(
  context: GitHubContext,
  { owner, name }: { owner: string; name: string },
  signal: AbortSignal | undefined,
): Promise<Repository | 'gone'> {
  const installationId = await context.credentials.installationOf({ owner, name }, signal);
  if (installationId === undefined && context.credentials.kind === 'app') return 'gone';
  const authorization = await authorizationFor(
    context,
    { id: 0, forgeInstallationId: installationId },
    signal,
  );
  const parameters = { owner, repo: name };
  return readAs(context, 'GET /repos/{owner}/{repo}', parameters, authorization, installationId, signal);
}

function authorizationFor(
  context: GitHubContext,
  { id, forgeInstallationId }: { id: number; forgeInstallationId?: number | undefined },
  signal: AbortSignal | undefined,
): Promise<Authorization> {
  return forgeInstallationId === undefined
    ? context.credentials.forRepository({ id, owner: '', name: '' }, signal)
    : context.credentials.forInstallation(forgeInstallationId, signal);
}

async function readAs(
  context: GitHubContext,
  route: Route,
  parameters: Record<string, unknown>,
  authorization: Authorization,
  installationId: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Repository | 'gone'> {
  try {
    const call = { authorization, reply: RepositoryReply, signal };
    const { data } = await context.client.call(route, parameters, call);
    const known = installationId === undefined ? {} : { forgeInstallationId: installationId };
    return { ...toRepository(data), ...known };
  } catch (error) {
    if (statusOf(error) === 404) return 'gone';
    throw error;
  }
}

const Installations = z.array(z.object({ id: z.number(), suspended_at: z.string().nullish() }));

async function searchInstallations(
  context: GitHubContext,
  repositoryId: number,
  signal: AbortSignal | undefined,
): Promise<Repository | 'gone'> {
  const app = context.credentials.forApp();
  if (!app) throw new ForgeError({ code: 'forge-unauthorized', message: 'No GitHub App is configured.' });
  const { data, next } = await context.client.call(
    'GET /app/installations',
    { per_page: INSTALLATIONS_MAX },
    { authorization: await app, reply: Installations, signal },
  );
  for (const installation of data) {
    if (typeof installation.suspended_at === 'string') continue;
    const authorization = await context.credentials.forInstallation(installation.id, signal);
    const parameters = { id: repositoryId };
    const found = await readAs(
      context,
      'GET /repositories/{id}',
      parameters,
      authorization,
      installation.id,
      signal,
    );
    // Any installation may read a public repository; whether it covers it, only the App can say.
    if (found === 'gone') continue;
    const covering = await context.credentials.installationOf(found, signal);
    if (covering !== undefined) return { ...found, forgeInstallationId: covering };
  }
  if (next === undefined) return 'gone';
  throw new ForgeError({
    code: 'forge-rejected',
    message: `The GitHub App has more than ${INSTALLATIONS_MAX} installations; repository ${repositoryId} was not found in the first of them.`,
    hint: 'Name the repository as owner/name.',
  });
}
