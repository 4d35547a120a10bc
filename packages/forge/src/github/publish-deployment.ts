import { z } from 'zod';
import type { DeploymentReport, Published, RepositoryRef } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import { callRepository } from './call-repository.ts';
import { clip } from './clip.ts';
import type { GitHubContext } from './context.ts';
import { Anything } from './replies.ts';
import { statusOf } from './to-forge-error.ts';

const DESCRIPTION_MAX = 140;

const DeploymentReply = z.object({ id: z.number(), payload: z.unknown() });
const OurPayload = z.object({ bough: z.string() });

/**
 * One environment name is shared by all previews and `auto_inactive` is off, because a name for each pull request
 * leaves an Environment behind that no ordinary token can delete, and with it on each preview deactivates the others.
 * Teardown sets `inactive`; the deployment itself stays in GitHub's history, which shows and expires it.
 */
export async function publishDeployment(
  context: GitHubContext,
  repository: RepositoryRef,
  deployment: DeploymentReport,
): Promise<Published> {
  const [first] =
    deployment.externalId === undefined ? await findByMarker(context, repository, deployment) : [];
  const found = deployment.externalId ?? first;
  if (found === undefined) {
    const externalId = await create(context, repository, deployment);
    await addStatus(context, repository, externalId, deployment);
    return { externalId, outcome: 'created' };
  }
  try {
    await addStatus(context, repository, found, deployment);
    if (deployment.mayBeDoubled) await endDoubles(context, repository, deployment, found);
    return { externalId: found, outcome: 'updated' };
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
  // Somebody deleted it. What is gone is inactive.
  if (deployment.state === 'inactive') return { externalId: found, outcome: 'updated' };
  const externalId = await create(context, repository, deployment);
  await addStatus(context, repository, externalId, deployment);
  return { externalId, outcome: 'created' };
}

async function create(
  context: GitHubContext,
  repository: RepositoryRef,
  deployment: DeploymentReport,
): Promise<string> {
  try {
    const { data } = await callRepository(context, repository, {
      method: 'POST',
      path: '/deployments',
      parameters: {
        ref: deployment.commit,
        task: 'deploy',
        auto_merge: false,
        required_contexts: [],
        environment: deployment.environment,
        description: clip(deployment.description, DESCRIPTION_MAX),
        transient_environment: !deployment.production,
        production_environment: deployment.production,
        ...(deployment.marker === undefined ? {} : { payload: { bough: deployment.marker } }),
      },
      reply: DeploymentReply,
    });
    return String(data.id);
  } catch (error) {
    if (statusOf(error) !== 422 || !(error instanceof ForgeError) || !/no ref found/i.test(error.message))
      throw error;
    throw new ForgeError({
      code: 'commit-gone',
      message: `${context.host} no longer has the commit ${deployment.commit} of ${repository.owner}/${repository.name}.`,
      hint: 'The branch was force-pushed or deleted; the next look at it reports on its new head.',
      cause: error,
    });
  }
}

async function addStatus(
  context: GitHubContext,
  repository: RepositoryRef,
  externalId: string,
  deployment: DeploymentReport,
): Promise<void> {
  await callRepository(context, repository, {
    method: 'POST',
    path: '/deployments/{deployment_id}/statuses',
    parameters: {
      deployment_id: Number(externalId),
      state: deployment.state,
      log_url: deployment.logUrl,
      ...(deployment.environmentUrl === undefined ? {} : { environment_url: deployment.environmentUrl }),
      description: clip(deployment.description, DESCRIPTION_MAX),
      auto_inactive: false,
    },
    reply: Anything,
  });
}

async function endDoubles(
  context: GitHubContext,
  repository: RepositoryRef,
  deployment: DeploymentReport,
  externalId: string,
): Promise<void> {
  for (const double of await findByMarker(context, repository, deployment))
    if (double !== externalId)
      await addStatus(context, repository, double, { ...deployment, state: 'inactive' });
}

/** Deployments that were created while nobody could store their ids: just before a crash, or after the answer was given up. */
async function findByMarker(
  context: GitHubContext,
  repository: RepositoryRef,
  { commit, environment, marker }: DeploymentReport,
): Promise<string[]> {
  if (marker === undefined) return [];
  const { data } = await callRepository(context, repository, {
    method: 'GET',
    path: '/deployments',
    parameters: { sha: commit, environment, per_page: 100 },
    reply: z.array(DeploymentReply),
  });
  return data
    .filter(({ payload }) => OurPayload.safeParse(payload).data?.bough === marker)
    .map(({ id }) => String(id));
}
