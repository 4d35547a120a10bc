import { listProjects } from '@bough/store/projects';
import type { ServerOptions } from './options.ts';

const fates = ['queued', 'received'] as const;

/** Deliveries by project. There are as many series as projects, which the store bounds. */
export interface ProjectDeliveries {
  inc(labels: { project: string; fate: (typeof fates)[number] }): void;
  /** Starts each known project at zero, so that a rate is there before its first delivery. */
  startAtZero(): Promise<void>;
}

export function createProjectDeliveries({
  metrics,
  pool,
}: Pick<ServerOptions, 'metrics' | 'pool'>): ProjectDeliveries {
  const counter = metrics.counter({
    name: 'bough_project_deliveries_total',
    help: 'Deliveries that are work for a project: queued, or received while the queue was down',
    // Projects are not known before the store is asked.
    values: { project: [], fate: fates },
  });
  return {
    inc: (labels) => counter.inc(labels),
    async startAtZero() {
      for (const { slug } of await listProjects(pool)) {
        for (const fate of fates) counter.inc({ project: slug, fate }, 0);
      }
    },
  };
}
