import type { Environment } from '@bough/domain/environment';
import type { EnvironmentLock } from '@bough/store/environment-lock';
import type { Project } from '@bough/store/projects';

/** An environment as its row was read under its lock: what every part of a reconcile works on. */
export interface Locked {
  readonly environment: Environment;
  readonly project: Project;
  readonly lock: EnvironmentLock;
}
