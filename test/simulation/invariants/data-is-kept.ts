import { type Change, type Invariant, labelsOf, type Watched } from '../invariant.ts';
import type { Content } from '../world/commits.ts';

/**
 * The volumes that a verified release works on stay until another release is verified on others: what a deployment that
 * fails, is overtaken or dies has made of a request for other data changes nothing about the data before.
 */
export function createDataIsKept(): Invariant {
  /** By release: directories that its web process sees. */
  const seen = new Map<string, readonly string[]>();
  /** By environment: volumes of the last release that was verified. */
  const inUse = new Map<string, ReadonlySet<string>>();
  return {
    name: 'data is kept',
    change({ what, before, after }: Change, watched) {
      if (what !== 'deployments' || after?.state !== 'ready' || before?.state === 'ready') return undefined;
      const [path] = seen.get(String(after.id)) ?? [];
      const id = String(after.environment_id);
      const { content } = watched.commits.find(String(after.commit));
      inUse.set(id, volumesOf(id, path ?? '', content, watched));
      return undefined;
    },
    async deed(deed, _job, { disk, environments }) {
      const { release, environmentId: id, role } = labelsOf(deed);
      if (deed.verb === 'ensure' && role === 'web' && release !== undefined)
        seen.set(release, deed.mounts ?? []);
      if (deed.kind !== 'volume' || deed.verb !== 'remove' || inUse.get(id)?.has(deed.id) !== true)
        return undefined;
      const row = environments.get(id);
      // Dismantled to its end, also when it is wanted again meanwhile: then all of it is made anew.
      const isGoing = row === undefined || row.desired_state === 'absent' || row.data_state === 'undecided';
      const name = disk.volumes.get(deed.id)?.labels.name.replace('service:', 'before:');
      // Put back to what it was before a hook: until then the copy is there.
      const isSaved = [...disk.snapshots.values()].some(
        ({ labels }) => labels.environmentId === id && labels.name === name,
      );
      return isGoing || isSaved
        ? undefined
        : `${deed.id}, on which the last verified release of environment ${id} works, is removed`;
    },
  };
}

const SERVICES: Readonly<Partial<Record<Content, readonly string[]>>> = {
  'without-service': [],
  'with-queue': ['service:db', 'service:queue'],
};

/** A release's volumes bear the mark of the data that its web process sees one of: `@` and the request that brought it. */
function volumesOf(
  environmentId: string,
  path: string,
  content: Content,
  { disk }: Watched,
): ReadonlySet<string> {
  const mine = [...disk.volumes.values()].filter(({ labels }) => labels.environmentId === environmentId);
  const mark = markOf(mine.find((volume) => volume.path === path)?.labels.name ?? '');
  const names = ['mount:files', ...(SERVICES[content] ?? ['service:db'])];
  return new Set(
    mine
      .filter(
        ({ labels }) => names.includes(labels.name.replace(/@\d+$/, '')) && markOf(labels.name) === mark,
      )
      .map(({ id }) => id),
  );
}

function markOf(name: string): string {
  return /@\d+$/.exec(name)?.[0] ?? '';
}
