import { z } from 'zod';
import type { RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';

const PER_PAGE = 100;
/** GitHub lists 3,000 files of a pull request and no more. */
const PAGES_MAX = 30;

const FileReply = z.object({ filename: z.string(), previous_filename: z.string().nullish() });

/** Of the whole pull request: what its head changes since it left the base. Of what was moved, both names. */
export async function changedFiles(
  context: GitHubContext,
  repository: RepositoryRef,
  number: number,
  signal?: AbortSignal,
): Promise<readonly string[] | 'too-many'> {
  const paths = new Set<string>();
  for (let page = 1; page <= PAGES_MAX; page += 1) {
    const { data, next } = await callRepository(context, repository, {
      method: 'GET',
      path: '/pulls/{pull_number}/files',
      parameters: { pull_number: number, per_page: PER_PAGE, page },
      reply: z.array(FileReply),
      signal,
    });
    for (const { filename, previous_filename: previous } of data) {
      paths.add(filename);
      if (typeof previous === 'string') paths.add(previous);
    }
    if (!next) return [...paths];
  }
  return 'too-many';
}
