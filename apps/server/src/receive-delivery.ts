import type { Clock } from '@bough/domain/clock';
import type { SubjectKey } from '@bough/domain/subject';
import type { Forge, ParsedDelivery } from '@bough/forge/forge';
import { observeKey } from '@bough/reconcile/observe';
import { type Delivery, type Fate, receiveDelivery, settleDelivery } from '@bough/store/deliveries';
import { findProjectByRepository, type Project } from '@bough/store/projects';
import type { ServerOptions } from './options.ts';
import type { ProjectDeliveries } from './project-deliveries.ts';
import { createQueuedWriter } from './queued-writer.ts';
import type { RepositoryChanges } from './repository-changes.ts';

export interface Received {
  readonly deliveryId: string;
  readonly fate: Fate;
  readonly reason: string | null;
  /** A redelivery of what needs no new work. */
  readonly isRepeat: boolean;
}

/**
 * Stores a delivery, decides who should look, and enqueues the looks. Every fate but `received` is written; `received`
 * means that it is not done yet: the queue was down and the sweeper of resync queues it later, or repositories are being
 * connected.
 */
export interface DeliveryReceiver {
  receive(forge: Forge, parsed: ParsedDelivery): Promise<Received>;
  /** Somebody asked for it: the same decision again, with the world as it is now. */
  replay(delivery: Delivery): Promise<Received>;
  /** Waits for what is still being written behind answers that were given. */
  drain(): Promise<void>;
}

type Decision =
  | { readonly kind: 'look'; readonly project: Project; readonly subjects: readonly SubjectKey[] }
  | { readonly kind: 'repositories'; readonly parsed: Extract<ParsedDelivery, { kind: 'repositories' }> }
  | { readonly kind: 'settled'; readonly fate: 'observed' | 'declined' | 'ignored'; readonly reason: string };

type Context = Pick<ServerOptions, 'pool' | 'queues' | 'isAllowedOwner' | 'log' | 'forges'> & {
  readonly repositoryChanges: RepositoryChanges;
  readonly counted: ProjectDeliveries;
  readonly clock?: Clock;
};

export function createDeliveryReceiver(context: Context): DeliveryReceiver {
  const queued = createQueuedWriter(context);

  async function act(forge: Forge, parsed: ParsedDelivery, id: string): Promise<Received> {
    const { deliveryId } = parsed;
    const decision = await decide(context, forge, parsed);
    if (decision.kind === 'settled') {
      const { fate, reason } = decision;
      await settleDelivery(context.pool, id, { fate, reason });
      return { deliveryId, fate, reason, isRepeat: false };
    }
    if (decision.kind === 'repositories') {
      context.repositoryChanges.apply(forge, decision.parsed, id);
      const reason = 'stored; the repositories are connected behind this answer';
      return { deliveryId, fate: 'received', reason, isRepeat: false };
    }
    try {
      for (const subject of decision.subjects) {
        await context.queues.enqueue('observe', observeKey(decision.project.id, subject));
      }
    } catch (error) {
      context.log.warn({ err: error, deliveryId }, 'delivery stored but not queued');
      context.counted.inc({ project: decision.project.slug, fate: 'received' });
      const reason = 'the queue is down; it is queued when that is back';
      return { deliveryId, fate: 'received', reason, isRepeat: false };
    }
    queued.write(id);
    context.counted.inc({ project: decision.project.slug, fate: 'queued' });
    return { deliveryId, fate: 'queued', reason: null, isRepeat: false };
  }

  return {
    async receive(forge, parsed) {
      const { id, isOpen, fate, reason } = await receiveDelivery(context.pool, {
        forge: forge.kind,
        deliveryId: parsed.deliveryId,
        event: parsed.event,
        action: parsed.action,
        repositoryId: parsed.repositoryId,
        subjects: subjectsOf(parsed),
        payload: parsed,
      });
      if (!isOpen) return { deliveryId: parsed.deliveryId, fate, reason, isRepeat: true };
      return act(forge, parsed, id);
    },
    async replay(delivery) {
      const forge = Object.values(context.forges).find((candidate) => candidate.kind === delivery.forge);
      if (!forge) {
        const reason = `the forge ${delivery.forge} is not configured any more`;
        await settleDelivery(context.pool, delivery.id, { fate: 'declined', reason });
        return { deliveryId: delivery.deliveryId, fate: 'declined', reason, isRepeat: false };
      }
      // It was parsed by the forge's schema when it was stored.
      return act(forge, delivery.payload as ParsedDelivery, delivery.id);
    },
    drain: () => queued.drain(),
  };
}

function subjectsOf(parsed: ParsedDelivery): readonly SubjectKey[] {
  if (parsed.kind === 'subjects') return parsed.subjects;
  return parsed.kind === 'comment' || parsed.kind === 'action' ? [parsed.subject] : [];
}

async function decide(context: Context, forge: Forge, parsed: ParsedDelivery): Promise<Decision> {
  switch (parsed.kind) {
    case 'ping':
      return { kind: 'settled', fate: 'observed', reason: 'ping: the webhook reaches Bough' };
    case 'ignored':
      return { kind: 'settled', fate: 'ignored', reason: parsed.reason };
    case 'repositories':
      return decideRepositories(context, forge, parsed);
    case 'subjects':
    case 'comment':
    case 'action': {
      const project = await activeProject(context, forge, parsed.repositoryId);
      if (!project) return { kind: 'settled', fate: 'declined', reason: notAProject(parsed) };
      return { kind: 'look', project, subjects: subjectsOf(parsed) };
    }
  }
}

/** An installation event alone never creates a project: the owner must be allowed, or the project be there already. */
async function decideRepositories(
  context: Context,
  forge: Forge,
  parsed: Extract<ParsedDelivery, { kind: 'repositories' }>,
): Promise<Decision> {
  const change: Decision = { kind: 'repositories', parsed };
  if (parsed.added.some(({ owner }) => context.isAllowedOwner(owner))) return change;
  for (const id of [...parsed.added.map((added) => added.id), ...parsed.removed]) {
    if (await activeProject(context, forge, id)) return change;
  }
  const owners = [...new Set(parsed.added.map(({ owner }) => owner))].join(', ');
  const reason =
    owners === ''
      ? 'none of these repositories is a project of this Bough'
      : `${owners} is not among BOUGH_ALLOWED_OWNERS, and none of these repositories is a project of this Bough`;
  return { kind: 'settled', fate: 'declined', reason };
}

async function activeProject(
  context: Context,
  forge: Forge,
  repositoryId: number | null,
): Promise<Project | undefined> {
  if (repositoryId === null) return undefined;
  const project = await findProjectByRepository(context.pool, { forgeHost: forge.host, repositoryId });
  return project?.state === 'active' ? project : undefined;
}

function notAProject({ owner, name, repositoryId }: ParsedDelivery): string {
  const repository = owner !== null && name !== null ? `${owner}/${name}` : `repository ${repositoryId}`;
  return `${repository} is not a project of this Bough; add it with "bough project add ${repository}"`;
}
