import type { SubjectKey } from '@bough/domain/subject';
import type { Forge, ParsedDelivery } from '@bough/forge/forge';
import { type Delivery, type Fate, receiveDelivery, settleDelivery } from '@bough/store/deliveries';
import { findProjectByRepository, type Project } from '@bough/store/projects';
import type { ServerOptions } from './options.ts';

export interface Received {
  readonly deliveryId: string;
  readonly fate: Fate;
  readonly reason: string | null;
  /** A redelivery of what needs no new work. */
  readonly isRepeat: boolean;
}

/**
 * Stores a delivery, decides who should look, and enqueues the looks. Every fate but `received` is written; `received`
 * means that the queue was down, and the sweeper of resync queues it later.
 */
export interface DeliveryReceiver {
  receive(forge: Forge, parsed: ParsedDelivery): Promise<Received>;
  /** Somebody asked for it: the same decision again, with the world as it is now. */
  replay(delivery: Delivery): Promise<Received>;
  /** Settles what is being written behind answers that were given. */
  drain(): Promise<void>;
}

type Decision =
  | { readonly kind: 'look'; readonly keys: readonly string[] }
  | { readonly kind: 'settled'; readonly fate: 'observed' | 'declined' | 'ignored'; readonly reason: string };

/** What the observe queue's keys name: a subject of a project, or a delivery about repositories. */
export const subjectLookKey = (projectId: string, subject: SubjectKey): string => `${projectId}:${subject}`;
export const deliveryLookKey = (deliveryRowId: string): string => `delivery:${deliveryRowId}`;

type Context = Pick<ServerOptions, 'pool' | 'queues' | 'isAllowedOwner' | 'log' | 'forges'>;

export function createDeliveryReceiver(context: Context): DeliveryReceiver {
  const behind = new Set<Promise<unknown>>();

  /** The looks are queued already: a lost write only means that the sweeper queues them once more. */
  function settleBehind(id: string, end: Parameters<typeof settleDelivery>[2]): void {
    const writing = settleDelivery(context.pool, id, end)
      .catch((error: unknown) => context.log.warn({ err: error, deliveryRowId: id }, 'fate not written yet'))
      .finally(() => behind.delete(writing));
    behind.add(writing);
  }

  async function act(forge: Forge, parsed: ParsedDelivery, id: string): Promise<Received> {
    const { deliveryId } = parsed;
    const decision = await decide(context, forge, parsed, id);
    if (decision.kind === 'settled') {
      const { fate, reason } = decision;
      await settleDelivery(context.pool, id, { fate, reason });
      return { deliveryId, fate, reason, isRepeat: false };
    }
    try {
      for (const key of decision.keys) await context.queues.enqueue('observe', key);
    } catch (error) {
      context.log.warn({ err: error, deliveryId }, 'delivery stored but not queued');
      const reason = 'the queue is down; it is queued when that is back';
      return { deliveryId, fate: 'received', reason, isRepeat: false };
    }
    settleBehind(id, { fate: 'queued' });
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
    async drain() {
      await Promise.allSettled(behind);
    },
  };
}

function subjectsOf(parsed: ParsedDelivery): readonly SubjectKey[] {
  if (parsed.kind === 'subjects') return parsed.subjects;
  return parsed.kind === 'comment' ? [parsed.subject] : [];
}

async function decide(
  context: Context,
  forge: Forge,
  parsed: ParsedDelivery,
  deliveryRowId: string,
): Promise<Decision> {
  switch (parsed.kind) {
    case 'ping':
      return { kind: 'settled', fate: 'observed', reason: 'ping: the webhook reaches Bough' };
    case 'ignored':
      return { kind: 'settled', fate: 'ignored', reason: parsed.reason };
    case 'repositories':
      return decideRepositories(context, forge, parsed, deliveryRowId);
    case 'subjects':
    case 'comment': {
      const project = await activeProject(context, forge, parsed.repositoryId);
      if (!project) return { kind: 'settled', fate: 'declined', reason: notAProject(parsed) };
      return { kind: 'look', keys: subjectsOf(parsed).map((subject) => subjectLookKey(project.id, subject)) };
    }
  }
}

/** An installation event alone never creates a project: the owner must be allowed, or the project be there already. */
async function decideRepositories(
  context: Context,
  forge: Forge,
  parsed: Extract<ParsedDelivery, { kind: 'repositories' }>,
  deliveryRowId: string,
): Promise<Decision> {
  const look: Decision = { kind: 'look', keys: [deliveryLookKey(deliveryRowId)] };
  if (parsed.added.some(({ owner }) => context.isAllowedOwner(owner))) return look;
  for (const id of [...parsed.added.map((added) => added.id), ...parsed.removed]) {
    if (await activeProject(context, forge, id)) return look;
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
