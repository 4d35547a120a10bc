import { z } from 'zod';
import type { CheckReport, Published, RepositoryRef } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import { callRepository } from './call-repository.ts';
import { clip } from './clip.ts';
import type { GitHubContext } from './context.ts';
import { statusOf } from './to-forge-error.ts';

/** GitHub takes at most 50 annotations in one request. */
const ANNOTATIONS_MAX = 50;
const TEXT_MAX = 65_535;
const DESCRIPTION_MAX = 140;

const CheckRunReply = z.object({ id: z.number(), html_url: z.string().nullish() });
const StatusReply = z.object({ id: z.number() });

/** A check run needs an App; a token gets a commit status of the same name, without annotations. */
export async function publishCheck(
  context: GitHubContext,
  repository: RepositoryRef,
  check: CheckReport,
): Promise<Published> {
  try {
    return context.credentials.kind === 'app'
      ? await publishCheckRun(context, repository, check)
      : await publishStatus(context, repository, check);
  } catch (error) {
    if (statusOf(error) !== 422 || !(error instanceof ForgeError)) throw error;
    if (!/no commit found/i.test(error.message)) throw error;
    throw new ForgeError({
      code: 'commit-gone',
      message: `${context.host} no longer has the commit ${check.commit} of ${repository.owner}/${repository.name}.`,
      hint: 'The branch was force-pushed or deleted; the next look at it reports on its new head.',
      cause: error,
    });
  }
}

async function publishCheckRun(
  context: GitHubContext,
  repository: RepositoryRef,
  check: CheckReport,
): Promise<Published> {
  const parameters = checkRunOf(check);
  if (check.externalId !== undefined) {
    try {
      const { data } = await callRepository(context, repository, {
        method: 'PATCH',
        path: '/check-runs/{check_run_id}',
        parameters: { ...parameters, check_run_id: Number(check.externalId) },
        reply: CheckRunReply,
      });
      return { externalId: String(data.id), ...urlOf(data), outcome: 'updated' };
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
  }
  const { data } = await callRepository(context, repository, {
    method: 'POST',
    path: '/check-runs',
    parameters: { ...parameters, head_sha: check.commit },
    reply: CheckRunReply,
  });
  return { externalId: String(data.id), ...urlOf(data), outcome: 'created' };
}

function urlOf(reply: z.output<typeof CheckRunReply>): { url?: string } {
  return typeof reply.html_url === 'string' ? { url: reply.html_url } : {};
}

function checkRunOf(check: CheckReport): Record<string, unknown> {
  const running = check.state === 'queued' || check.state === 'in_progress';
  return {
    name: check.name,
    ...(running ? { status: check.state } : { status: 'completed', conclusion: check.state }),
    details_url: check.detailsUrl,
    ...(check.subject === undefined ? {} : { external_id: check.subject }),
    // An empty list takes the buttons of the words before away.
    actions: [...(check.actions ?? [])],
    output: {
      title: clip(check.title, 255),
      summary: clip(check.summary, TEXT_MAX),
      annotations: check.annotations.slice(0, ANNOTATIONS_MAX).map((annotation) => ({
        path: annotation.path,
        start_line: annotation.line,
        end_line: annotation.line,
        ...(annotation.column === undefined
          ? {}
          : { start_column: annotation.column, end_column: annotation.column }),
        annotation_level: annotation.level,
        message: clip(annotation.message, TEXT_MAX),
      })),
    },
  };
}

async function publishStatus(
  context: GitHubContext,
  repository: RepositoryRef,
  check: CheckReport,
): Promise<Published> {
  const { data } = await callRepository(context, repository, {
    method: 'POST',
    path: '/statuses/{sha}',
    parameters: {
      sha: check.commit,
      state: STATUS_OF[check.state],
      context: check.name,
      description: clip(check.title, DESCRIPTION_MAX),
      target_url: check.detailsUrl,
    },
    reply: StatusReply,
  });
  return { externalId: String(data.id), outcome: check.externalId === undefined ? 'created' : 'updated' };
}

/** A commit status has four states. What waits for a person is pending: it neither passed nor failed. */
const STATUS_OF: Readonly<Record<CheckReport['state'], 'pending' | 'success' | 'failure' | 'error'>> = {
  queued: 'pending',
  in_progress: 'pending',
  success: 'success',
  failure: 'failure',
  neutral: 'success',
  action_required: 'pending',
  cancelled: 'error',
};
