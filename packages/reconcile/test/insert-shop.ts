import { insertProject, type Project } from '@bough/store/projects';
import type pg from 'pg';
import type { SandboxFixture } from '../../forge/test/sandbox-fixture.ts';

/** The fixture's repository as a project of the installation `i1`, as connecting it leaves it. */
export function insertShop(pool: pg.Pool, forge: SandboxFixture): Promise<Project> {
  return insertProject(pool, {
    installationId: 'i1',
    forge: 'github',
    forgeHost: new URL(forge.sandbox.url).host,
    repositoryId: forge.repository.id,
    owner: 'acme',
    name: 'shop',
    slug: 'shop',
    defaultBranch: 'main',
    production: 'external',
    intake: 'webhook',
  });
}
