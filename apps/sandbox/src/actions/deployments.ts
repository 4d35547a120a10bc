import { presentDeployment, presentDeploymentStatus } from '../present/report.ts';
import type { Deployment, DeploymentStatus, Repository } from '../state.ts';
import { now, type World } from '../world.ts';
import { emit } from './emit.ts';

export interface NewDeploymentStatus {
  state: string;
  description: string;
  environment: string;
  environmentUrl: string;
  logUrl: string;
  creator: string;
  autoInactive: boolean;
}

/**
 * Adds a status. A successful one with `auto_inactive` also makes every other successful deployment of the same
 * environment inactive, unless that one is a production environment or is transient as GitHub documents it:
 * "all the prior non-transient, non-production environment deployments with the same repository and environment name".
 */
export function addDeploymentStatus(
  world: World,
  repository: Repository,
  deployment: Deployment,
  wanted: NewDeploymentStatus,
): DeploymentStatus {
  const status = appendStatus(world, deployment, wanted);
  emitStatus(world, repository, deployment, status);
  if (wanted.state === 'success' && wanted.autoInactive) {
    for (const other of priorActive(repository, deployment)) {
      const last = other.statuses.at(-1);
      appendStatus(world, other, {
        ...wanted,
        state: 'inactive',
        description: '',
        environmentUrl: last?.environmentUrl ?? '',
        logUrl: last?.logUrl ?? '',
      });
    }
  }
  world.file.save();
  return status;
}

function priorActive(repository: Repository, deployment: Deployment): Deployment[] {
  return repository.deployments.filter(
    (other) =>
      other.id < deployment.id &&
      other.environment === deployment.environment &&
      !other.transient &&
      !other.production &&
      other.statuses.at(-1)?.state === 'success',
  );
}

function appendStatus(world: World, deployment: Deployment, wanted: NewDeploymentStatus): DeploymentStatus {
  const { autoInactive, ...fields } = wanted;
  const status = { id: world.file.nextId(), createdAt: now(), ...fields };
  deployment.statuses.push(status);
  deployment.environment = wanted.environment;
  deployment.updatedAt = status.createdAt;
  return status;
}

function emitStatus(
  world: World,
  repository: Repository,
  deployment: Deployment,
  status: DeploymentStatus,
): void {
  const payload = {
    deployment_status: presentDeploymentStatus(world, repository, deployment, status),
    deployment: presentDeployment(world, repository, deployment),
    check_run: null,
    workflow: null,
    workflow_run: null,
  };
  emit(world, repository, { event: 'deployment_status', action: 'created', sender: status.creator, payload });
}
