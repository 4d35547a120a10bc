import type { DesiredRow } from '../src/environments.ts';
import type { NewProject } from '../src/projects.ts';

/** Projects of one database are told apart by their numbers. */
export function exampleProject(number: number): NewProject {
  return {
    installationId: 'i1',
    forge: 'github',
    forgeHost: 'github.com',
    repositoryId: number,
    owner: 'acme',
    name: `p${number}`,
    slug: `p${number}`,
    defaultBranch: 'main',
    production: 'external',
    intake: 'webhook',
  };
}

/** The preview of its pull request 7, to run commit `aaa…`. */
export function examplePreview(projectId: string, number: number): DesiredRow {
  return {
    projectId,
    installationId: 'i1',
    subject: 'pull/7',
    slug: `pr-7--p${number}`,
    kind: 'preview',
    facts: {},
    desiredState: 'running',
    desiredCommit: 'a'.repeat(40),
    policyCommit: null,
    heldReason: null,
    variablesRevision: '0',
    requestId: null,
  };
}
