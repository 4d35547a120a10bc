import type { Environment } from '@bough/domain/environment';
import { epochSuffix, volumeId } from '@bough/domain/names';
import { Secret } from '@bough/domain/secret';
import type { Mount, Surroundings } from '@bough/engine/engine';
import {
  type RelationshipTarget,
  relationshipHosts,
  runVariables,
} from '@bough/manifest/environment-variables';
import type { Relationship } from '@bough/manifest/manifest';
import type { PlannedApp, PlannedMount } from '@bough/manifest/plan';
import { readVariables } from '@bough/store/variables';
import { memoryFor, projectFor, secludedWith, variablesFor } from '../trust/untrusted-tier.ts';
import { treeOf } from './build-artifact.ts';
import type { AppRun, CaptureRun } from './run.ts';
import type { RunningService } from './services.ts';

/** What of an app is to run: its web process, its hooks, or one of its workers. */
export interface Part {
  readonly app: PlannedApp;
  readonly relationships: readonly Relationship[];
  readonly mounts: readonly PlannedMount[];
  readonly env: Readonly<Record<string, string>>;
}

/** Web processes of this release that already have an address, for relationships from app to app. */
export type AppAddresses = ReadonlyMap<string, { host: string; port: number }>;

/** Everything an app's process finds around it: artifact, volumes, variables, names of its relationships. */
export async function surroundingsOf(
  run: AppRun,
  part: Part,
  with_: {
    artifact: string;
    services: readonly RunningService[];
    apps: AppAddresses;
    /** Other volumes than the environment's own. */
    mounts?: (mounts: readonly PlannedMount[]) => Promise<Mount[]>;
  },
): Promise<Surroundings> {
  const { context, project, environment, plan } = run;
  const variables = await readVariables(context.pool, context.encryption, {
    projectId: project.id,
    at: 'run',
    kind: environment.kind,
  });
  const targets = targetsOf(part.relationships, with_.services, with_.apps);
  const env = runVariables({
    app: part.app,
    env: part.env,
    plan,
    project: projectFor(run),
    environment: {
      slug: environment.slug,
      kind: environment.kind,
      branch: environment.facts.branch ?? environment.subject,
      commit: run.commit,
      deploymentId: run.deployment.id,
    },
    treeId: treeOf(run, part.app),
    targets,
    variables: variablesFor(run, variables),
  });
  // Addresses with passwords in them, and the base64 documents that carry them once more.
  for (const value of Object.values(env)) if (value instanceof Secret) run.secrets.add(value);
  return {
    toolchains: part.app.toolchains.map((toolchain) => toolchain.want),
    env,
    artifact: with_.artifact,
    mounts: await (with_.mounts?.(part.mounts) ?? ensureMounts(run, part.mounts)),
    hosts: relationshipHosts(targets),
    limits: { memoryBytes: memoryFor(run, part.app.limits.memoryMib * 1024 ** 2), pids: 512, cpus: 1 },
    ...secludedWith(
      run,
      targets.map(({ address }) => address.port),
    ),
  };
}

function targetsOf(
  relationships: readonly Relationship[],
  services: readonly RunningService[],
  apps: AppAddresses,
): RelationshipTarget[] {
  return relationships.flatMap((relationship): RelationshipTarget[] => {
    const service = services.find((candidate) => candidate.declaration.name === relationship.target);
    if (service !== undefined) {
      const endpoint = service.endpoints[relationship.endpoint];
      if (endpoint === undefined) return [];
      return [
        {
          relationship,
          type: `${service.declaration.type}:${service.declaration.version}`,
          address: service.address,
          endpoint,
        },
      ];
    }
    const address = apps.get(relationship.target);
    if (address === undefined) return [];
    return [
      {
        relationship,
        type: 'app',
        address,
        endpoint: { scheme: 'http', urlScheme: 'http', username: '', password: null, path: '', query: {} },
      },
    ];
  });
}

export function mountVolumeId(run: Pick<CaptureRun, 'context' | 'environment'>, volume: string): string {
  return volumeId({
    installationId: run.context.installationId,
    environmentId: run.environment.id,
    name: mountVolumeName(run.environment, volume),
  });
}

/** As it is in the labels of the volume. */
export function mountVolumeName({ dataEpoch }: Pick<Environment, 'dataEpoch'>, volume: string): string {
  return `mount:${volume}${epochSuffix(dataEpoch)}`;
}

async function ensureMounts(run: AppRun, mounts: readonly PlannedMount[]): Promise<Mount[]> {
  const { context, environment } = run;
  const ensured: Mount[] = [];
  for (const mount of mounts) {
    const volume = await context.storage.ensure({
      id: mountVolumeId(run, mount.volume),
      labels: {
        installationId: context.installationId,
        environmentId: environment.id,
        name: mountVolumeName(environment, mount.volume),
        kind: environment.kind,
      },
    });
    ensured.push({ source: volume.path, at: `/app/${mount.path}` });
  }
  return ensured;
}
