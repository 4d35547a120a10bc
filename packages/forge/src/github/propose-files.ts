import { z } from 'zod';
import type { RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { Anything } from './replies.ts';
import { statusOf } from './to-forge-error.ts';

interface Proposal {
  readonly branch: string;
  readonly base: string;
  readonly title: string;
  readonly body: string;
  readonly files: Readonly<Record<string, string>>;
}

const RefReply = z.object({ object: z.object({ sha: z.string() }) });
const FileReply = z.object({
  sha: z.string(),
  content: z.string().default(''),
  encoding: z.string().optional(),
});
const PullReply = z.object({ number: z.number(), html_url: z.string() });

/**
 * A branch, its files, a pull request; each only if it is not there yet, so a second call after a failure half-way
 * goes on where the first stopped. A branch of that name is used as it is, never reset: somebody may have worked on it.
 */
export async function proposeFiles(
  context: GitHubContext,
  repository: RepositoryRef,
  proposal: Proposal,
): Promise<{ number: number; url: string }> {
  await ensureBranch(context, repository, proposal);
  for (const [path, content] of Object.entries(proposal.files)) {
    await ensureFile(context, repository, { path, content, branch: proposal.branch });
  }
  return (
    (await findOpen(context, repository, proposal)) ?? (await openPullRequest(context, repository, proposal))
  );
}

async function ensureBranch(
  context: GitHubContext,
  repository: RepositoryRef,
  { branch, base }: Proposal,
): Promise<void> {
  if (await headOf(context, repository, branch)) return;
  const { data } = await callRepository(context, repository, {
    method: 'GET',
    path: '/git/ref/{ref}',
    parameters: { ref: `heads/${base}` },
    reply: RefReply,
  });
  await callRepository(context, repository, {
    method: 'POST',
    path: '/git/refs',
    parameters: { ref: `refs/heads/${branch}`, sha: data.object.sha },
    reply: Anything,
  });
}

async function headOf(
  context: GitHubContext,
  repository: RepositoryRef,
  branch: string,
): Promise<string | undefined> {
  try {
    const { data } = await callRepository(context, repository, {
      method: 'GET',
      path: '/git/ref/{ref}',
      parameters: { ref: `heads/${branch}` },
      reply: RefReply,
    });
    return data.object.sha;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

async function ensureFile(
  context: GitHubContext,
  repository: RepositoryRef,
  { path, content, branch }: { path: string; content: string; branch: string },
): Promise<void> {
  const existing = await readContent(context, repository, path, branch);
  if (existing?.content === content) return;
  await callRepository(context, repository, {
    method: 'PUT',
    path: '/contents/{path}',
    parameters: {
      path,
      message: `${existing ? 'Change' : 'Add'} ${path}`,
      content: Buffer.from(content, 'utf8').toString('base64'),
      branch,
      ...(existing ? { sha: existing.sha } : {}),
    },
    reply: Anything,
  });
}

async function readContent(
  context: GitHubContext,
  repository: RepositoryRef,
  path: string,
  branch: string,
): Promise<{ sha: string; content: string } | undefined> {
  try {
    const { data } = await callRepository(context, repository, {
      method: 'GET',
      path: '/contents/{path}',
      parameters: { path, ref: branch },
      reply: FileReply,
    });
    const content = data.encoding === 'base64' ? Buffer.from(data.content, 'base64').toString('utf8') : '';
    return { sha: data.sha, content };
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

async function findOpen(
  context: GitHubContext,
  repository: RepositoryRef,
  { branch, base }: Proposal,
): Promise<{ number: number; url: string } | undefined> {
  const { data } = await callRepository(context, repository, {
    method: 'GET',
    path: '/pulls',
    parameters: { state: 'open', head: `${repository.owner}:${branch}`, base },
    reply: z.array(PullReply.extend({ head: z.object({ ref: z.string() }) })),
  });
  const open = data.find(({ head }) => head.ref === branch);
  return open && { number: open.number, url: open.html_url };
}

async function openPullRequest(
  context: GitHubContext,
  repository: RepositoryRef,
  { branch, base, title, body }: Proposal,
): Promise<{ number: number; url: string }> {
  const { data } = await callRepository(context, repository, {
    method: 'POST',
    path: '/pulls',
    parameters: { head: branch, base, title, body },
    reply: PullReply,
  });
  return { number: data.number, url: data.html_url };
}
