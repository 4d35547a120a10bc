import type { HookTarget } from '../hookshot.ts';
import { presentPushedRepository, presentRepository } from '../present/repository.ts';
import { nodeId, presentUser } from '../present/user.ts';
import type { Hook, Repository } from '../state.ts';
import { installationOf, type World } from '../world.ts';

/** Tells every hook of the repository, and the App's, of an event. `payload` is what the event adds to the common part. */
export function emit(
  world: World,
  repository: Repository,
  event: { event: string; action: string | null; sender: string; payload: Record<string, unknown> },
): void {
  const targets = repository.hooks.map((hook) => repositoryTarget(repository, hook));
  const app = appTarget(world, repository);
  if (app) targets.push(app);
  for (const target of targets) {
    world.hookshot.send(target, {
      event: event.event,
      action: event.action,
      repositoryId: repository.id,
      payload: payloadFor(world, repository, target, event),
    });
  }
}

export function repositoryTarget(repository: Repository, hook: Hook): HookTarget {
  return { hook, kind: 'repository', targetId: repository.id, installationId: null };
}

export function appTarget(world: World, repository: Repository | undefined): HookTarget | undefined {
  const { hook, id } = world.state.app;
  if (!hook) return undefined;
  const installationId = repository ? installationOf(world, repository.owner) : null;
  return { hook, kind: 'integration', targetId: id, installationId };
}

function payloadFor(
  world: World,
  repository: Repository,
  target: HookTarget,
  event: { event: string; action: string | null; sender: string; payload: Record<string, unknown> },
): Record<string, unknown> {
  const present = event.event === 'push' ? presentPushedRepository : presentRepository;
  return {
    ...(event.action === null ? {} : { action: event.action }),
    ...event.payload,
    repository: present(world, repository),
    sender: presentUser(world, event.sender),
    ...(target.installationId === null
      ? {}
      : {
          installation: { id: target.installationId, node_id: nodeId('Installation', target.installationId) },
        }),
  };
}
