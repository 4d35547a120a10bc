import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { BuildSpec, EnvironmentVariables } from '@bough/engine/engine';
import type { Checkout } from '@bough/forge/git/sources';
import type { SubmoduleSource } from '@bough/forge/git/submodules';
import { artifactKey } from '@bough/manifest/artifact-key';
import { buildVariables } from '@bough/manifest/environment-variables';
import type { PlannedApp } from '@bough/manifest/plan';
import { findArtifact, recordArtifact } from '@bough/store/artifacts';
import { readVariables, type VariableWithValue } from '@bough/store/variables';
import { repositoryOf } from '../observe.ts';
import {
  buildSeclusionOf,
  projectFor,
  UNTRUSTED_BUILD,
  UNTRUSTED_BUILD_MS,
  variablesFor,
} from '../trust/untrusted-tier.ts';
import { takeBuildSlot } from './build-slot.ts';
import type { AppRun, StepVoice } from './run.ts';

const BUILD_MEMORY_BYTES = 4 * 1024 ** 3;

/** What the builds of one run have in common. */
export interface BuildInputs {
  readonly variables: readonly VariableWithValue[];
  /** Part of the key where somebody asked for a build although an artifact is there. */
  readonly anew: string | null;
}

export async function readBuildInputs(run: AppRun, anew: string | null): Promise<BuildInputs> {
  const { context, project, environment } = run;
  const variables = await readVariables(context.pool, context.encryption, {
    projectId: project.id,
    at: 'build',
    kind: environment.kind,
  });
  for (const variable of variables) if (variable.secret) run.secrets.add(variable.value);
  return { variables: variablesFor(run, variables), anew };
}

/**
 * The app's tree as an artifact: built when none of its key is there. Equal keys are the same bytes for everybody.
 * `builtFor`: whose build is used; null when it was built now. Throws `Waiting` when it has to be built and no slot is free.
 */
export async function ensureArtifact(
  run: AppRun,
  of: { app: PlannedApp; inputs: BuildInputs },
  voice: StepVoice,
): Promise<{ key: string; builtFor: string | null }> {
  const { context, project } = run;
  const { app, inputs } = of;
  const treeId = treeOf(run, app);
  const env = buildVariables({ app, project: projectFor(run), treeId, variables: inputs.variables });
  const key = artifactKey({
    ...{ app, treeId, env },
    hmacKey: context.signingKey,
    engine: context.engine.kind,
    architecture: process.arch,
    trust: run.environment.trust,
    ...(inputs.anew === null ? {} : { anew: inputs.anew }),
  });
  const present = await context.engine.artifacts.find(key);
  let builtFor: string | null = null;
  if (present === undefined) await buildApp(run, { app, key, env }, voice);
  else {
    builtFor = (await findArtifact(context.pool, key))?.builtFor ?? 'an earlier deployment';
    voice.line(`${app.name}: artifact ${key.slice(0, 12)} is there already`);
  }
  const artifact = present ?? (await context.engine.artifacts.find(key));
  await recordArtifact(context.pool, {
    ...{ key, treeId },
    projectId: project.id,
    app: app.name,
    commit: run.commit,
    sizeBytes: artifact?.sizeBytes ?? 0,
    buildMs: artifact?.durationMs ?? 0,
    builtFor: run.environment.slug,
  });
  return { key, builtFor };
}

/** Strangers get less of the machine, and a network of their own. */
function boundsOf(run: AppRun): Pick<BuildSpec, 'limits' | 'seclusion' | 'timeoutMs'> {
  const { buildMs } = run.context.deadlines;
  const seclusion = buildSeclusionOf(run);
  return seclusion === undefined
    ? { limits: { memoryBytes: BUILD_MEMORY_BYTES, pids: 2_000, cpus: 2 }, timeoutMs: buildMs }
    : { limits: UNTRUSTED_BUILD, seclusion, timeoutMs: Math.min(buildMs, UNTRUSTED_BUILD_MS) };
}

/** The compile step found every app's directory, so each has a tree. */
export function treeOf(run: Pick<AppRun, 'trees'>, app: PlannedApp): string {
  const tree = run.trees.get(app.name);
  if (tree !== undefined) return tree;
  throw new BoughError({
    code: 'tree-unknown',
    message: `The source of app "${app.name}" is not known.`,
    retryable: true,
  });
}

/** Relative addresses in `.gitmodules` start from the project's own; each submodule has a mirror shared by all commits. */
function submodulesOf(run: AppRun): SubmoduleSource {
  const forge = run.context.forge(run.project.forge);
  const repository = repositoryOf(run.project);
  return {
    forge,
    repository,
    url: `https://${forge.host}/${repository.owner}/${repository.name}.git`,
    // What was once fetched with credentials is not for strangers either.
    ...(run.environment.trust === 'untrusted'
      ? { mirrors: join(run.context.directories.mirrors, 'submodules-untrusted'), anonymous: true }
      : { mirrors: join(run.context.directories.mirrors, 'submodules') }),
  };
}

async function buildApp(
  run: AppRun,
  what: { app: PlannedApp; key: string; env: EnvironmentVariables },
  voice: StepVoice,
): Promise<void> {
  const { context, lock, environment } = run;
  const { app } = what;
  const { id: environmentId, kind, priority } = environment;
  const releaseSlot = takeBuildSlot(context, {
    ...{ environmentId, projectId: run.project.id, kind, priority, isWaiting: run.isWaiting },
    ...{ deploymentId: run.deployment.id, app: app.name, artifactKey: what.key },
  });
  await voice.note(`building ${app.name}`);
  let checkout: Checkout | undefined;
  try {
    checkout = await context.sources.checkout({
      mirror: run.mirror,
      commit: run.commit,
      name: `e${environment.id}`,
      signal: lock.signal,
      submodules: submodulesOf(run),
    });
    const { notes } = checkout;
    for (const { path, reason } of notes.skipped) voice.line(`submodule ${path} stays empty: ${reason}`);
    for (const path of notes.lfsPointers)
      voice.line(`${path} is a Git LFS pointer; its content is not there`);
    await context.engine.build({
      key: what.key,
      toolchains: app.toolchains.map((toolchain) => toolchain.want),
      source: join(checkout.path, app.root),
      hook: app.build.hook,
      env: what.env,
      // Only builds of the default branch write the shared cache (DESIGN §6.3).
      cache: {
        // Nobody writes that of strangers, so they find nothing of the project's own builds in it.
        key:
          environment.trust === 'untrusted' ? `${run.project.id}-untrusted` : `${run.project.id}-${app.name}`,
        mode: environment.kind === 'production' ? 'shared' : 'throwaway',
      },
      labels: {
        installationId: context.installationId,
        environmentId: environment.id,
        role: 'web',
        name: app.name,
        release: run.deployment.id,
      },
      ...boundsOf(run),
      signal: lock.signal,
      onOutput: voice.line,
    });
  } finally {
    releaseSlot();
    checkout?.discard();
  }
}
