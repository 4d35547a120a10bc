import { createHash } from 'node:crypto';
import type { Artifacts } from '../deploy/build.ts';
import type { PlannedRun } from '../deploy/run.ts';

/** Raised when rehearsals come to see more, so that old results are not taken for new ones. */
const revision = 1;

/** All that a rehearsal's result depends on. Equal keys need no second one. */
export function rehearsalKey(
  run: Pick<PlannedRun, 'plan' | 'project' | 'environment'>,
  of: {
    artifacts: Artifacts;
    snapshotId: string;
    stallBudgetMs: number;
    previousDeploymentId: string | null;
  },
): string {
  const { apps, services } = run.plan.common;
  const facts = [
    revision,
    run.project.id,
    run.environment.variablesRevision,
    apps.map((app) => [
      app.name,
      app.deployHook,
      of.artifacts.get(app.name) ?? null,
      app.env,
      app.relationships,
    ]),
    services.map(({ name, type, version, configuration }) => [name, type, version, configuration]),
    of.snapshotId,
    of.stallBudgetMs,
    of.previousDeploymentId,
  ];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}
