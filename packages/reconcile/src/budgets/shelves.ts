import type { BudgetKind, Kept } from '@bough/domain/budget';
import type { Engine } from '@bough/engine/engine';
import type { Mirrors } from '@bough/forge/git/mirrors';
import type { Storage } from '@bough/storage/storage';
import { forgetArtifact } from '@bough/store/artifacts';
import { listKeptArtifacts, listNeededCommits, listNeededDeployments } from '@bough/store/budgets';
import { listKeptSnapshots } from '@bough/store/snapshots';
import type pg from 'pg';
import { removeGolden } from '../data/golden.ts';
import { listStepLogs, type StepLogs } from '../step-log.ts';
import type { Shelf } from './shelf.ts';

export type Budgets = Readonly<Record<BudgetKind, number>>;

/** Something may be about to use it: a build that copies it, a deployment that has just found it. */
const IN_USE_MS = 3_600_000;

/** Everything that has a budget, and what of it is in use. */
export function createShelves(
  budgets: Budgets,
  on: {
    pool: pg.Pool;
    engine: Engine;
    storage: Storage;
    mirrors: Mirrors;
    stepLogs: StepLogs;
    logs: string;
  },
): Shelf[] {
  const shelf = (kind: BudgetKind, rest: Pick<Shelf, 'list' | 'remove'>): Shelf => ({
    ...{ kind, budgetBytes: budgets[kind] },
    ...rest,
  });
  return [
    shelf('artifacts', artifacts(on)),
    shelf('caches', caches(on)),
    shelf('mirrors', mirrors(on)),
    shelf('logs', logs(on)),
    shelf('snapshots', snapshots(on)),
  ];
}

type On = Parameters<typeof createShelves>[1];
type Listed = Pick<Shelf, 'list' | 'remove'>;

/** Needed are those of releases that serve or sleep, of deployments under way, and of the newest of each environment. */
function artifacts({ pool, engine }: On): Listed {
  return {
    async list() {
      const known = await listKeptArtifacts(pool);
      const keys = new Set(known.map(({ key }) => key));
      // Whose row was lost with another database: nobody knows that it is there, but it takes its room.
      const unknown = (await engine.artifacts.list()).filter(({ key }) => !keys.has(key));
      return [
        ...known.map(({ isNeeded, ...kept }) => ({
          ...kept,
          isPinned: isNeeded || isFresh(kept.lastUsedAt),
        })),
        ...unknown.map(({ key, sizeBytes, builtAt }) => ({
          ...{ key, sizeBytes, lastUsedAt: builtAt },
          isPinned: isFresh(builtAt),
        })),
      ];
    },
    async remove(key) {
      await engine.artifacts.remove(key);
      await forgetArtifact(pool, key);
    },
  };
}

function caches({ engine }: On): Listed {
  return {
    list: async () =>
      ((await engine.caches?.list()) ?? []).map((kept) => ({ ...kept, isPinned: isFresh(kept.lastUsedAt) })),
    remove: async (key) => await engine.caches?.remove(key),
  };
}

/**
 * One for each project. While it has more than its environments need, it can be trimmed to that; then it is in use, until
 * its project goes.
 */
function mirrors({ pool, mirrors: all }: On): Listed {
  return {
    async list(signal) {
      const needed = await listNeededCommits(pool);
      return (await all.list(signal)).map(({ projectId, commits, ...kept }): Kept => {
        const its = needed.get(projectId);
        const isNeeded = its !== undefined && commits.every((commit) => its.has(commit));
        return { key: projectId, ...kept, isPinned: isNeeded };
      });
    },
    async remove(projectId, signal) {
      const its = (await listNeededCommits(pool)).get(projectId);
      if (its === undefined) await all.remove(projectId);
      else await all.trim(projectId, its, signal);
    },
  };
}

function logs({ pool, stepLogs, logs: directory }: On): Listed {
  return {
    async list() {
      const needed = new Set(await listNeededDeployments(pool));
      return (await listStepLogs(directory)).map(({ deploymentId, ...kept }) => ({
        ...{ key: deploymentId, ...kept },
        isPinned: needed.has(deploymentId),
      }));
    },
    remove: (deploymentId) => stepLogs.remove(deploymentId),
  };
}

/** A project's newest golden is what its next preview gets, and one with previews is what they go back to. */
function snapshots({ pool, storage }: On): Listed {
  const listFrozen = async () => (await listKeptSnapshots(pool)).filter(({ state }) => state !== 'failed');
  return {
    async list() {
      const newest = new Set<string>();
      return (await listFrozen()).map((row): Kept => {
        const isNewest = row.state === 'frozen' && !newest.has(row.projectId);
        if (isNewest) newest.add(row.projectId);
        return {
          key: row.id,
          sizeBytes: Number(row.sizeBytes ?? 0),
          lastUsedAt: row.frozenAt ?? new Date(),
          isPinned: isNewest || row.state !== 'frozen' || row.descendants > 0,
        };
      });
    },
    async remove(id) {
      // Looked at again: a preview may have been cloned from it since it was listed.
      const row = (await listFrozen()).find((candidate) => candidate.id === id);
      if (row?.state === 'frozen' && row.descendants === 0) await removeGolden({ pool, storage }, row);
    },
  };
}

function isFresh(lastUsedAt: Date): boolean {
  return Date.now() - lastUsedAt.getTime() < IN_USE_MS;
}
