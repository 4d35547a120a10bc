import { checkAppDirectories } from '@bough/manifest/app-directory';
import { compilePlan } from '@bough/manifest/compile-plan';
import type { Plan } from '@bough/manifest/plan';
import { readManifestAt } from '../policy.ts';
import { refuseWithoutSeclusion } from '../trust/untrusted-tier.ts';
import { checkServices } from './check-services.ts';
import { manifestAbsent } from './manifest-absent.ts';
import { ManifestProblems } from './manifest-problems.ts';
import { resolveVersions } from './resolve-versions.ts';
import type { DeploymentRun, StepVoice } from './run.ts';

/** What is compiled, and for what. */
export type CompileRun = Pick<DeploymentRun, 'context' | 'mirror' | 'commit' | 'lock'> & {
  readonly environment: Pick<DeploymentRun['environment'], 'kind' | 'slug' | 'trust'>;
};

/** Reads the manifest of the commit and compiles it for this environment, every version exact. */
export async function compile(
  run: CompileRun,
  voice: StepVoice,
): Promise<{ plan: Plan; trees: ReadonlyMap<string, string> }> {
  const { context, mirror, commit, lock } = run;
  refuseWithoutSeclusion(run);
  const { result, paths } = await readManifestAt(context, { mirror, commit, signal: lock.signal });
  if (result.kind === 'absent') throw manifestAbsent(`Commit ${commit.slice(0, 7)}`, paths);
  if (result.kind === 'problems') throw new ManifestProblems(result.problems);
  const { manifest } = result;
  const problems = [
    ...checkAppDirectories(manifest, paths, `at commit ${commit.slice(0, 7)}`),
    ...checkServices(manifest, context.service),
  ];
  if (problems.length > 0) throw new ManifestProblems(problems);
  for (const note of manifest.notes)
    voice.line(`note ${note.file}:${note.line}: ${note.message} ${note.hint}`);

  const plan = compilePlan(manifest, {
    kind: run.environment.kind,
    slug: run.environment.slug.replace(/~.*$/, ''),
    previewUrl: context.previewUrl,
    versions: await resolveVersions(run, manifest, voice),
    serviceToolchain: (service) => context.service(service.type).toolchain(service),
  });
  const trees = new Map<string, string>();
  for (const app of plan.common.apps) {
    const tree = await context.sources.treeId({ mirror, commit, path: app.root, signal: lock.signal });
    if (tree !== undefined) trees.set(app.name, tree);
  }
  return { plan, trees };
}
