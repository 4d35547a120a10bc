import { createHash } from 'node:crypto';
import type { Sources } from '@bough/forge/git/sources';
import type { Calls } from '../calls.ts';
import type { SimProcess } from '../process.ts';

/** What a commit holds. All but the first three cannot be deployed, each in its own way. */
export const contents = [
  'good',
  'without-service',
  'with-queue',
  'broken-build',
  'broken-manifest',
  'without-manifest',
  'broken-hook',
  'silent',
] as const;
export type Content = (typeof contents)[number];

/** `previews:` of a project. */
export const policies = {
  plain: '',
  /** Only what bears the label `preview`. */
  labelled: 'previews: { triggers: { label: preview } }\n',
  /** Whoever is not visited goes to sleep. */
  idle: 'previews: { idle: 2m }\n',
  /** Nothing starts before its first visit. */
  lazy: 'previews: { lazy: true }\n',
} as const;
export type PolicyName = keyof typeof policies;

export interface Commit {
  readonly id: string;
  readonly content: Content;
  readonly policy: PolicyName;
  /** Commits of one branch rise. */
  readonly number: number;
}

/** How a deployment of such a commit ends when nothing from outside comes in between: its failure, or null. */
export const FAILURES: Readonly<Record<Content, string | null>> = {
  good: null,
  'without-service': null,
  'with-queue': null,
  'broken-build': 'build-failed',
  'broken-manifest': 'manifest-invalid',
  'without-manifest': 'manifest-absent',
  'broken-hook': 'deploy-hook-failed',
  silent: 'app-not-listening',
};

/** What a manifest says about previews counts only where it can be read. */
export function policyOf({ content, policy }: Commit): PolicyName {
  return content === 'broken-manifest' || content === 'without-manifest' ? 'plain' : policy;
}

export interface Commits {
  make(content: Content): Commit;
  find(id: string): Commit;
  sources(process: SimProcess): Sources;
}

/** A repository without git: a commit's files follow from what it is. */
export function createCommits(calls: Calls, policy: PolicyName): Commits {
  const all = new Map<string, Commit>();
  const find = (id: string) => {
    const found = all.get(id);
    if (found === undefined) throw new Error(`there is no commit ${id}`);
    return found;
  };
  return {
    find,
    make(content) {
      const number = all.size + 1;
      const id = createHash('sha1').update(`commit ${number}`).digest('hex');
      const commit = { id, content, policy, number };
      all.set(id, commit);
      return commit;
    },
    sources: (process) => ({
      listFiles: ({ commit }) =>
        calls.call(process, 'git list', () =>
          find(commit).content === 'without-manifest' ? ['app.js'] : ['.bough/config.yaml', 'app.js'],
        ),
      readFile: ({ commit }) => calls.call(process, 'git read', () => Buffer.from(manifestOf(find(commit)))),
      diffFiles: ({ from, commit, signal }) =>
        calls.call(process, 'git diff', () => (from === commit ? '' : `-${from}\n+${commit}\n`), { signal }),
      treeId: ({ commit, signal }) => calls.call(process, 'git tree', () => treeOf(find(commit)), { signal }),
      checkout: ({ commit, signal, name }) =>
        calls.call(
          process,
          'git checkout',
          () => ({
            path: `/checkouts/${name}/${commit}`,
            notes: { submodules: [], skipped: [], lfsPointers: [] },
            discard: () => {},
          }),
          { takes: [1, 20], signal },
        ),
    }),
  };
}

function treeOf(commit: Commit): string {
  return createHash('sha1').update(`tree of ${commit.id}`).digest('hex');
}

function manifestOf({ content, policy }: Commit): string {
  if (content === 'broken-manifest') return 'applications: { web: { type: nodejs:22, wub: {} } }\n';
  const queue = content === 'with-queue';
  const service = content !== 'without-service';
  return `applications:
  web:
    type: nodejs:22
    build: { flavor: none }
    hooks:
      build: ${content === 'broken-build' ? 'exit 1' : 'echo built'}
      deploy: ${content === 'broken-hook' ? 'exit 1' : 'echo migrated'}
${service ? '    relationships: { database: "db:postgresql" }\n' : ''}    mounts: { files: { source: storage, source_path: files } }
    web: { commands: { start: ${content === 'silent' ? 'be-silent' : 'serve'} } }
    workers: { jobs: { commands: { start: work } } }
${service || queue ? 'services:\n' : ''}${service ? '  db: { type: "postgresql:16" }\n' : ''}${queue ? '  queue: { type: "postgresql:16" }\n' : ''}routes:
  "https://{default}/": { type: upstream, upstream: "web:http" }
data:
  sanitize: none
${policies[policy]}`;
}
