import { BoughError } from '@bough/domain/bough-error';
import { type Clock, systemClock } from '@bough/domain/clock';
import type { Forge, ParsedDelivery, RepositoryRef } from '@bough/forge/forge';
import { settleDelivery, unsettledDeliveries } from '@bough/store/deliveries';
import { findProjectByRepository, type Project, writeRepository } from '@bough/store/projects';
import type { ServerOptions } from './options.ts';

type Repositories = Extract<ParsedDelivery, { kind: 'repositories' }>;
type Context = Pick<ServerOptions, 'pool' | 'projects' | 'isAllowedOwner' | 'log' | 'forges'> & {
  readonly clock?: Clock;
};

/** An installation on a large account names thousands of repositories; the rest is added by hand. */
const addedMax = 200;
const waitingMax = 1_000;
const storeRetryMs = 10_000;

/**
 * Repositories that an App's installation gained or lost, or that were renamed. This asks the forge many things, so it
 * happens behind the answer, one delivery after the other. The stored delivery stays `received` until it is done, and
 * the next start goes on with what a crash left.
 */
export interface RepositoryChanges {
  apply(forge: Forge, parsed: Repositories, deliveryRowId: string): void;
  resume(): Promise<void>;
}

export function createRepositoryChanges(context: Context): RepositoryChanges {
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  const { clock = systemClock } = context;

  async function work(forge: Forge, parsed: Repositories, deliveryRowId: string): Promise<void> {
    try {
      const reason = await change(context, forge, parsed);
      await settleDelivery(context.pool, deliveryRowId, { fate: 'observed', reason });
    } catch (error) {
      context.log.warn({ err: error, deliveryRowId }, 'repositories not connected');
      const reason =
        error instanceof BoughError ? error.message : "it failed inside Bough; the server's log says how";
      await settleDelivery(context.pool, deliveryRowId, { fate: 'failed', reason }).catch(() => {
        // The store is away, and nobody else would come back to it before the next start.
        clock.after(storeRetryMs, () => apply(forge, parsed, deliveryRowId), { background: true });
      });
    } finally {
      waiting -= 1;
    }
  }

  function apply(forge: Forge, parsed: Repositories, deliveryRowId: string): void {
    if (waiting >= waitingMax) return;
    waiting += 1;
    last = last.then(() => work(forge, parsed, deliveryRowId));
  }

  async function resume(): Promise<void> {
    const left = await unsettledDeliveries(context.pool, clock.now()).catch((error: unknown) => {
      context.log.warn({ err: error }, 'the store is away: what an earlier start left is looked at later');
      clock.after(storeRetryMs, () => void resume(), { background: true });
      return [];
    });
    for (const { id, forge: kind, payload } of left) {
      const forge = Object.values(context.forges).find((candidate) => candidate.kind === kind);
      // It was parsed by the forge's schema when it was stored.
      const parsed = payload as ParsedDelivery;
      if (forge && parsed.kind === 'repositories') apply(forge, parsed, id);
    }
  }

  return { apply, resume };
}

/** What came of it, in words. The first failure ends it: a redelivery does it all again, and nothing is done twice. */
async function change(context: Context, forge: Forge, parsed: Repositories): Promise<string> {
  const done: string[] = [];
  for (const repository of parsed.added.slice(0, addedMax)) {
    const what = await take(context, forge, repository);
    if (what !== undefined) done.push(`${what} ${repository.owner}/${repository.name}`);
  }
  for (const repositoryId of parsed.removed) {
    const project = await activeProject(context, forge, repositoryId);
    if (!project) continue;
    await context.projects.disconnect(project);
    done.push(`removed ${project.owner}/${project.name}`);
  }
  const rest = parsed.added.length - addedMax;
  if (rest > 0) done.push(`left out ${rest} more: add them with "bough project add"`);
  return done.join(', ') || 'nothing to change';
}

async function take(
  context: Context,
  forge: Forge,
  { id, owner, name }: RepositoryRef,
): Promise<'read' | 'added' | undefined> {
  const project = await activeProject(context, forge, id);
  if (project) {
    // Renamed, transferred, or another default branch: the forge knows which.
    const repository = await forge.readRepository({ id });
    if (repository !== 'gone') await writeRepository(context.pool, project.id, repository);
    return 'read';
  }
  if (!context.isAllowedOwner(owner)) return undefined;
  await context.projects.connect({ owner, name, production: 'external' });
  return 'added';
}

async function activeProject(
  { pool }: Context,
  { host }: Forge,
  repositoryId: number,
): Promise<Project | undefined> {
  const project = await findProjectByRepository(pool, { forgeHost: host, repositoryId });
  return project?.state === 'active' ? project : undefined;
}
