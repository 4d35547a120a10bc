import { z } from 'zod';
import type { RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { statusOf } from './to-forge-error.ts';

const PermissionReply = z.object({ permission: z.string(), role_name: z.string().optional() });

/** `maintain` counts as write and `triage` as read; of a custom role counts what it is based on. Unknown is none. */
export async function permission(
  context: GitHubContext,
  repository: RepositoryRef,
  user: string,
): Promise<'admin' | 'write' | 'read' | 'none'> {
  try {
    const { data } = await callRepository(context, repository, {
      method: 'GET',
      path: '/collaborators/{username}/permission',
      parameters: { username: user },
      reply: PermissionReply,
    });
    return LEVELS.get(data.permission) ?? LEVELS.get(data.role_name ?? '') ?? 'none';
  } catch (error) {
    if (statusOf(error) === 404) return 'none';
    throw error;
  }
}

const LEVELS: ReadonlyMap<string, 'admin' | 'write' | 'read' | 'none'> = new Map([
  ['admin', 'admin'],
  ['maintain', 'write'],
  ['write', 'write'],
  ['push', 'write'],
  ['triage', 'read'],
  ['read', 'read'],
  ['pull', 'read'],
  ['none', 'none'],
]);
