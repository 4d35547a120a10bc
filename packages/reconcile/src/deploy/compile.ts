import { BoughError } from '@bough/domain/bough-error';
import { checkAppDirectories } from '@bough/manifest/app-directory';
import { compilePlan, toolchainsOf } from '@bough/manifest/compile-plan';
import type { Manifest, Problem } from '@bough/manifest/manifest';
import type { Plan, PlannedToolchain } from '@bough/manifest/plan';
import { readManifestAt } from '../policy.ts';
import { refuseWithoutSeclusion } from '../trust/untrusted-tier.ts';
import type { DeploymentRun, StepVoice } from './run.ts';

/** What is compiled, and for what. */
export type CompileRun = Pick<DeploymentRun, 'context' | 'mirror' | 'commit' | 'lock'> & {
  readonly environment: Pick<DeploymentRun['environment'], 'kind' | 'slug' | 'trust'>;
};

/** Problems of a manifest, each at its line: shown in the comment and as annotations of the check. */
export class ManifestProblems extends BoughError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const [first] = problems;
    super({
      code: 'manifest-invalid',
      message:
        first === undefined
          ? 'The manifest has a problem.'
          : `${first.file}:${first.line}:${first.column}: ${first.message}${problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''}`,
      hint: first?.hint,
      tail: problems
        .slice(0, 20)
        .map(
          (problem) =>
            `${problem.file}:${problem.line}:${problem.column}: ${problem.message} ${problem.hint}`,
        ),
    });
    this.problems = problems;
  }
}

/** Reads the manifest of the commit and compiles it for this environment, every version exact. */
export async function compile(
  run: CompileRun,
  voice: StepVoice,
): Promise<{ plan: Plan; trees: ReadonlyMap<string, string> }> {
  const { context, mirror, commit, lock } = run;
  refuseWithoutSeclusion(run);
  const { result, paths } = await readManifestAt(context, { mirror, commit, signal: lock.signal });
  if (result.kind === 'absent') {
    throw new BoughError({
      code: 'manifest-absent',
      message: `Commit ${commit.slice(0, 7)} has no manifest: there is no .bough/*.yaml and no .upsun/*.yaml.`,
      hint: 'Add .bough/config.yaml; docs/manifest.md shows the shortest one that works.',
    });
  }
  if (result.kind === 'problems') throw new ManifestProblems(result.problems);
  const { manifest } = result;
  const missing = [...checkAppDirectories(manifest, paths, commit), ...checkServices(run, manifest)];
  if (missing.length > 0) throw new ManifestProblems(missing);
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

/** What each service driver finds wrong with its own configuration, at the place of the service. */
function checkServices(run: CompileRun, manifest: Manifest): Problem[] {
  return manifest.services.flatMap((service) => {
    try {
      return run.context
        .service(service.type)
        .check(service)
        .map((problem) => ({
          ...service.place,
          message: `service "${service.name}": ${[...problem.path].join('.')}: ${problem.message}`,
          hint: problem.hint,
        }));
    } catch (error) {
      if (!(error instanceof BoughError)) throw error;
      return [
        { ...service.place, message: `service "${service.name}": ${error.message}`, hint: error.hint ?? '' },
      ];
    }
  });
}

async function resolveVersions(
  run: CompileRun,
  manifest: Manifest,
  voice: StepVoice,
): Promise<ReadonlyMap<string, PlannedToolchain>> {
  const { context, lock } = run;
  const wants = toolchainsOf(manifest, (service) => context.service(service.type).toolchain(service));
  const resolved = await Promise.all(
    wants.map((want) => context.engine.resolve(want, { signal: lock.signal })),
  );
  const versions = new Map<string, PlannedToolchain>();
  for (const { toolchain: want, version, digest } of resolved) {
    versions.set(want, { want, version, digest });
    voice.line(`${want} is ${version}`);
  }
  return versions;
}
