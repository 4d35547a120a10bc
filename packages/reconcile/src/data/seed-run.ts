import { environmentSlug } from '@bough/domain/names';
import type { AppRun, CaptureRun } from '../deploy/run.ts';

/**
 * What builds an app and runs its seed command: no environment, but one that a preview's code is used to. So it gets what
 * previews get (their variables, their secrets) and nothing of production's, it is "development" to frameworks, which
 * often refuse to seed anything else, its artifact is the one that a preview of the same tree has, and it has no routes.
 */
export function seedRunOf(parent: CaptureRun, snapshotRowId: string): AppRun {
  const { context, lock, project, commit, mirror, secrets, plan, trees } = parent;
  return {
    ...{ context, lock, project, commit, mirror, secrets, trees },
    policy: null,
    plan: { ...plan, overlay: { ...plan.overlay, hosts: [] } },
    environment: {
      // Of one project one capture runs at a time.
      id: `p${project.id}`,
      slug: environmentSlug('seed', project.slug),
      kind: 'preview',
      subject: 'seed',
      facts: { branch: project.defaultBranch },
      trust: 'trusted',
      dataEpoch: '0',
      priority: 0,
    },
    deployment: { id: `golden-${snapshotRowId}` },
    isWaiting: true,
  };
}
