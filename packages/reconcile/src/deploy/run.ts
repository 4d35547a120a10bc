import type { Environment } from '@bough/domain/environment';
import type { Secret } from '@bough/domain/secret';
import type { Plan } from '@bough/manifest/plan';
import type { Deployment } from '@bough/store/deployments';
import type { EnvironmentLock } from '@bough/store/environment-lock';
import type { Project } from '@bough/store/projects';
import type { Request } from '@bough/store/requests';
import type { Context } from '../context.ts';
import type { Policy } from '../policy.ts';

/** One attempt to bring an environment to a commit: what its steps share. */
export interface DeploymentRun {
  readonly context: Context;
  readonly lock: EnvironmentLock;
  readonly project: Project;
  readonly environment: Environment;
  readonly deployment: Deployment;
  readonly commit: string;
  readonly mirror: string;
  readonly policy: Policy | null;
  /** Everything that must never show in a log of this run. Grows as credentials are made. */
  readonly secrets: Set<Secret>;
  /** Somebody asks for other data: this deployment brings it. */
  readonly dataRequest?: Request | undefined;
}

/** A run whose plan is known. */
export interface PlannedRun extends DeploymentRun {
  readonly plan: Plan;
  /** App name → git tree id of its source. */
  readonly trees: ReadonlyMap<string, string>;
}

/** A run that builds an app and runs something of it: of an environment, or of a seed command, which has none. */
export interface AppRun
  extends Pick<
    PlannedRun,
    'context' | 'lock' | 'project' | 'commit' | 'mirror' | 'policy' | 'secrets' | 'plan' | 'trees'
  > {
  readonly environment: Pick<
    Environment,
    'id' | 'slug' | 'kind' | 'subject' | 'facts' | 'trust' | 'dataEpoch' | 'priority'
  >;
  readonly deployment: Pick<Deployment, 'id'>;
  /** It waits for a build slot by itself, so that nobody calls it when one is free. */
  readonly isWaiting?: true;
}

/** A run whose services are captured. Its environment may be none: a production whose data comes from elsewhere. */
export interface CaptureRun
  extends Pick<
    PlannedRun,
    'context' | 'lock' | 'project' | 'commit' | 'mirror' | 'secrets' | 'plan' | 'trees'
  > {
  readonly environment: Pick<Environment, 'id' | 'slug' | 'kind' | 'dataEpoch' | 'trust'>;
}

/** What a step can say while it works. */
export interface StepVoice {
  /** A line of the step's log. */
  readonly line: (text: string) => void;
  /** One short phrase shown as progress and, at the end, as the step's result. */
  readonly note: (text: string) => Promise<void>;
}

/** A reason to give the lock back and come again, which is nobody's failure: all build slots are taken. */
export class Waiting extends Error {
  readonly delayMs: number;
  /** Its place among those that wait for the same, from 1. */
  readonly position: number;

  constructor(reason: string, of: { position: number; delayMs: number }) {
    super(`${reason} (${of.position === 1 ? 'it is next' : `place ${of.position} in the queue`})`);
    this.name = 'Waiting';
    this.delayMs = of.delayMs;
    this.position = of.position;
  }
}
