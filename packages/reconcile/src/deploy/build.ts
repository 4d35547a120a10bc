import { writeDeploymentArtifact } from '@bough/store/deployments';
import { findRequest } from '@bough/store/requests';
import { ensureArtifact, readBuildInputs } from './build-artifact.ts';
import type { PlannedRun, StepVoice } from './run.ts';

/** App name → key of its artifact. */
export type Artifacts = ReadonlyMap<string, string>;

/** Builds each app whose artifact is not there, and notes in the deployment what it runs. */
export async function build(
  run: PlannedRun,
  voice: StepVoice,
): Promise<{ artifacts: Artifacts; cached: boolean }> {
  const inputs = await readBuildInputs(run, await rebuildOf(run));
  const artifacts = new Map<string, string>();
  const notes: string[] = [];
  let cached = true;
  for (const app of run.plan.common.apps) {
    const { key, builtFor } = await ensureArtifact(run, { app, inputs }, voice);
    artifacts.set(app.name, key);
    notes.push(`${app.name}: ${builtFor === null ? 'built' : `reused, built for ${builtFor}`}`);
    if (builtFor === null) cached = false;
    await writeDeploymentArtifact(run.context.pool, run.lock.fence, {
      deploymentId: run.deployment.id,
      app: app.name,
      key,
      cached: builtFor !== null,
    });
  }
  await voice.note(notes.join('; '));
  return { artifacts, cached };
}

/**
 * The request to build this commit anew, if that is what it is deployed for. Others may run from the artifact that is there, so
 * a rebuild makes one of its own instead of replacing it.
 */
async function rebuildOf({ context, environment, commit }: PlannedRun): Promise<string | null> {
  if (environment.requestId === null) return null;
  const request = await findRequest(context.pool, environment.requestId);
  if (request?.kind !== 'rebuild') return null;
  return request.argument === null || request.argument === commit ? request.id : null;
}
