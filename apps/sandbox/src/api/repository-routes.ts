import type { FastifyInstance } from 'fastify';
import { notFound } from '../github-error.ts';
import { presentFullRepository } from '../present/repository.ts';
import { presentUser } from '../present/user.ts';
import type { Permission, Repository } from '../state.ts';
import type { World } from '../world.ts';
import { param, target } from './target.ts';

const BASIC: Record<Permission, 'admin' | 'write' | 'read' | 'none'> = {
  admin: 'admin',
  maintain: 'write',
  write: 'write',
  triage: 'read',
  read: 'read',
  none: 'none',
};

export function repositoryRoutes(server: FastifyInstance, world: World): void {
  server.get('/repos/:owner/:repo', async (request) => presentFullRepository(world, target(world, request)));
  server.get('/repos/:owner/:repo/collaborators/:username/permission', async (request) => {
    const repository = target(world, request);
    const login = param(request, 'username');
    const user = world.state.users.find((candidate) => candidate.login.toLowerCase() === login.toLowerCase());
    if (!user) throw notFound();
    const role = permissionOf(repository, login);
    return {
      permission: BASIC[role],
      role_name: role,
      user: { ...presentUser(world, user), permissions: abilities(role), role_name: role },
    };
  });
}

/** Without an entry of their own everybody can read a public repository and nobody a private one. */
export function permissionOf(repository: Repository, login: string): Permission {
  return repository.permissions[login.toLowerCase()] ?? (repository.private ? 'none' : 'read');
}

function abilities(role: Permission) {
  const rank = ['none', 'read', 'triage', 'write', 'maintain', 'admin'].indexOf(role);
  return { pull: rank >= 1, triage: rank >= 2, push: rank >= 3, maintain: rank >= 4, admin: rank >= 5 };
}
