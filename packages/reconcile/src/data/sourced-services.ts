import type { ReadSource, SeedSource, ServiceSource } from '@bough/manifest/manifest';
import type { PlannedService } from '@bough/manifest/plan';
import type { CaptureRun } from '../deploy/run.ts';
import { type WantedService, wantService } from './capture-together.ts';

/** A service that is read from elsewhere. */
export interface ReadableService extends WantedService {
  readonly source: ReadSource;
}

/** A service that a command is to fill. */
export interface SeedableService extends WantedService {
  readonly source: SeedSource;
}

/** Those that have a source, by what has to be done for it. */
export interface SourcedServices {
  readonly seedable: readonly SeedableService[];
  readonly readable: readonly ReadableService[];
}

export function sourcedServices(
  parent: CaptureRun,
  snapshotRowId: string,
  of: { wanted: readonly PlannedService[]; sources: Readonly<Record<string, ServiceSource>> },
): SourcedServices {
  const seedable: SeedableService[] = [];
  const readable: ReadableService[] = [];
  for (const planned of of.wanted) {
    const source = of.sources[planned.name];
    const service = source && wantService(parent, snapshotRowId, planned);
    if (source === undefined || service === undefined) continue;
    if (source.kind === 'seed') seedable.push({ ...service, source });
    else readable.push({ ...service, source });
  }
  return { seedable, readable };
}
