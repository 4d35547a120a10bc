import { createHmac } from 'node:crypto';
import { BoughError } from '@bough/domain/bough-error';
import type { Environment } from '@bough/domain/environment';
import { Secret } from '@bough/domain/secret';
import type { Limits, Seclusion } from '@bough/engine/engine';
import type { VariableWithValue } from '@bough/store/variables';
import type { DeploymentRun } from '../deploy/run.ts';

// What an environment of untrusted code gets of everything that others get: less of the machine, nothing of the project's.

const MIB = 1024 ** 2;
export const UNTRUSTED_BUILD: Limits = { memoryBytes: 2048 * MIB, pids: 512, cpus: 1 };
export const UNTRUSTED_BUILD_MS = 15 * 60_000;
const WORKLOAD_MEMORY_BYTES = 1024 * MIB;
const BUILD_DISK_BYTES = 4096 * MIB;
const VOLUMES_DISK_BYTES = 2048 * MIB;

export const NO_DATA =
  'its code comes from a fork or from an author who may not write here, so nothing is cloned: services start empty and the deploy hook seeds them';

type Run = { readonly environment: Pick<Environment, 'trust'> };

function isUntrusted({ environment }: Run): boolean {
  return environment.trust === 'untrusted';
}

/** For the surroundings of a workload, a service or a hook; `peers` are the ports of what it relates to. */
export function secludedWith(run: Run, peers: readonly number[]): { readonly seclusion?: Seclusion } {
  return isUntrusted(run) ? { seclusion: { peers, network: 'none', diskBytes: VOLUMES_DISK_BYTES } } : {};
}

export function buildSeclusionOf(run: Run & Pick<DeploymentRun, 'policy'>): Seclusion | undefined {
  if (!isUntrusted(run)) return undefined;
  return { peers: [], network: run.policy?.previews.forks.network ?? 'none', diskBytes: BUILD_DISK_BYTES };
}

export function memoryFor(run: Run, wantedBytes: number): number {
  return isUntrusted(run) ? Math.min(wantedBytes, WORKLOAD_MEMORY_BYTES) : wantedBytes;
}

/** No secret, whatever it was set for. */
export function variablesFor(
  run: Run,
  variables: readonly VariableWithValue[],
): readonly VariableWithValue[] {
  return isUntrusted(run) ? variables.filter(({ secret }) => !secret) : variables;
}

/** Apps make keys of the project's entropy, so a stranger's get another one, from which the first cannot be found. */
export function projectFor({ environment, project }: Run & Pick<DeploymentRun, 'project'>): {
  slug: string;
  entropy: Secret;
} {
  const { slug, entropy } = project;
  if (!isUntrusted({ environment })) return { slug, entropy };
  return {
    slug,
    entropy: new Secret(createHmac('sha256', entropy.reveal()).update('untrusted').digest('hex')),
  };
}

/** The last gate before a clone, whichever way led to it. */
export function refuseToStrangers(run: Run): void {
  if (isUntrusted(run))
    throw new BoughError({ code: 'data-for-strangers', message: `Nothing is cloned: ${NO_DATA}.` });
}

/** It was made for trusted code and its pull request is a stranger's now: nobody gets that data by such a way. */
export function refuseHeldData(environment: Environment): void {
  if (environment.dataState !== 'cloned' && environment.dataPending?.state !== 'cloned') return;
  throw new BoughError({
    code: 'untrusted-with-data',
    message:
      'The preview holds cloned data, and its code is not of somebody who may write to the repository any more.',
    hint: 'Comment `/bough delete` and then `/bough deploy`: the new preview starts without data.',
  });
}

/** Untrusted code runs where it can be secluded, or not at all. */
export function refuseWithoutSeclusion(run: Run & Pick<DeploymentRun, 'context'>): void {
  const { seclusion } = run.context;
  if (!isUntrusted(run) || seclusion.ok) return;
  throw new BoughError({
    code: 'seclusion-unavailable',
    message: `This machine cannot seclude the code of strangers, so it does not run: ${seclusion.reason ?? 'unknown'}`,
    hint: 'Bough needs user and network namespaces for that; or somebody with write access pushes the branch to this repository.',
  });
}
