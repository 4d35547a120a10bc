import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import type { Artifact, BuildSpec, Seclusion } from '../engine.ts';
import { secretsOf } from '../variables.ts';
import { type ArtifactNote, type ArtifactShelf, checkedKey } from './artifacts.ts';
import type { BuildCache } from './build-cache.ts';
import type { BuildEnvironment } from './build-environment.ts';
import type { EngineContext } from './context.ts';
import { copyTree, diskUsage } from './copy-tree.ts';
import { egressPort } from './door/door.ts';
import { takeLock } from './lock.ts';
import { ownedName } from './owner.ts';
import { removeTree } from './remove-tree.ts';
import { npmrcFile } from './sandbox.ts';
import { limitLines, runSealed, type SealedResult } from './sealed.ts';
import { insideVariables, resolveToolchains, shownRoots } from './surroundings.ts';

export interface Builder {
  readonly context: EngineContext;
  readonly shelf: ArtifactShelf;
  readonly cache: BuildCache;
}

/** One build of a key at a time on this machine; whoever comes second waits and gets the first one's artifact. */
export async function build(builder: Builder, spec: BuildSpec): Promise<Artifact> {
  const { shelf, context } = builder;
  const known = await shelf.find(spec.key);
  if (known) return known;
  const builds = join(context.home, 'builds');
  await mkdir(builds, { recursive: true, mode: 0o700 });
  spec.signal?.throwIfAborted();
  const release = await takeLock(join(builds, `${checkedKey(spec.key)}.lock`), spec.signal);
  try {
    return (await shelf.find(spec.key)) ?? (await buildAnew(builder, spec));
  } finally {
    await release();
  }
}

async function buildAnew(builder: Builder, spec: BuildSpec): Promise<Artifact> {
  const startedAt = performance.now();
  const work = join(builder.context.home, 'builds', `${spec.key}.${await ownedName()}`);
  const product = join(work, 'product');
  try {
    await makeWorkDirectories(work);
    await Promise.all([
      copyTree(spec.source, join(product, 'app'), spec.signal),
      spec.hook === null ? undefined : builder.cache.copyTo(spec.cache.key, join(work, 'cache'), spec.signal),
    ]);
    // What belongs to the checkout and not to the source: it differs from machine to machine.
    await removeTree(join(product, 'app/.git'));
    if (spec.hook !== null) await runHook(builder, spec, work);
    spec.signal?.throwIfAborted();
    const note: ArtifactNote = {
      sizeBytes: await diskUsage(join(product, 'app'), spec.signal),
      builtAt: new Date().toISOString(),
      durationMs: Math.round(performance.now() - startedAt),
    };
    await writeFile(join(product, 'artifact.json'), JSON.stringify(note));
    await builder.shelf.publish(spec.key, product);
    if (spec.hook !== null && spec.cache.mode === 'shared')
      await builder.cache.publish(spec.cache.key, join(work, 'cache'));
    // Nobody waits for what is left of it; should this process end first, the next one's sweep removes it.
    removeTree(work).catch((error: unknown) =>
      builder.context.log.warn({ work, err: error }, 'build not removed'),
    );
    return { key: spec.key, ...note, builtAt: new Date(note.builtAt), cached: false };
  } catch (error) {
    await removeTree(work);
    throw error;
  }
}

async function makeWorkDirectories(work: string): Promise<void> {
  for (const name of ['product/app', 'home', 'tmp', 'cache']) {
    await mkdir(join(work, name), { recursive: true, mode: 0o700 });
  }
}

async function runHook(builder: Builder, spec: BuildSpec, work: string): Promise<void> {
  const { context } = builder;
  const toolchains = await resolveToolchains(context.toolchain, spec.toolchains, spec.signal);
  const { env, caFiles, npmrc } = spec.seclusion
    ? secludedEnvironment(context, spec.seclusion)
    : context.buildEnvironment;
  const extra = {
    ...env,
    PLATFORM_CACHE_DIR: '/cache',
    npm_config_cache: '/cache/.npm',
    ...(npmrc === undefined ? {} : { NPM_CONFIG_USERCONFIG: npmrcFile }),
  };
  if (npmrc !== undefined) await writeFile(join(work, 'npmrc'), npmrc, { mode: 0o600 });
  const result = await runSealed(context, {
    ...{ kind: 'build', labels: spec.labels, limits: spec.limits, timeoutMs: spec.timeoutMs },
    ...{ signal: spec.signal, onOutput: spec.onOutput, secrets: secretsOf(spec.env) },
    secluded: spec.seclusion && { seclusion: spec.seclusion, written: [work] },
    stage: {
      hosts: {},
      command: `${limitLines(context, spec)}set -e\n${spec.hook}\n`,
    },
    sandbox: (stage) => ({
      ...{ base: context.base, stage, sharedMemoryBytes: Math.floor(spec.limits.memoryBytes / 2) },
      env: insideVariables(toolchains, spec.env, extra),
      shown: [...shownRoots(toolchains, context.home), ...caFiles],
      files: npmrc === undefined ? [] : [{ source: join(work, 'npmrc'), at: npmrcFile }],
      app: { source: join(work, 'product/app'), writable: true },
      mounts: [{ source: join(work, 'cache'), at: '/cache' }],
      home: { directory: join(work, 'home') },
      temporary: { directory: join(work, 'tmp') },
    }),
  });
  if (result.exitCode === 0 && result.killedBy === undefined) return;
  spec.signal?.throwIfAborted();
  throw failed(spec, result);
}

/** Where certificates are is no secret and of use to everybody; registries and proxies of the operator's are not for strangers. */
function secludedEnvironment(context: EngineContext, seclusion: Seclusion): BuildEnvironment {
  const { env, caFiles } = context.buildEnvironment;
  const certificates = Object.entries(env).filter(([name]) => /(?:CERT|CA_BUNDLE|CAINFO)/.test(name));
  const proxy = `http://127.0.0.1:${egressPort}`;
  const names = [
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'http_proxy',
    'https_proxy',
    'npm_config_proxy',
    'npm_config_https_proxy',
  ];
  const isOut = seclusion.network === 'public';
  return {
    env: {
      ...Object.fromEntries(certificates),
      ...(isOut ? Object.fromEntries(names.map((variable) => [variable, proxy])) : {}),
      ...(isOut ? { NO_PROXY: 'localhost,127.0.0.1', no_proxy: 'localhost,127.0.0.1' } : {}),
    },
    caFiles,
  };
}

function failed(spec: BuildSpec, { exitCode, killedBy, tail }: SealedResult): BoughError {
  const name = `app "${spec.labels.name}"`;
  if (killedBy === 'timeout') {
    return new BoughError({
      code: 'build-timeout',
      message: `The build hook of ${name} did not end within ${Math.round(spec.timeoutMs / 1000)} s.`,
      hint: 'Look at the last lines for what it waits for.',
      tail,
    });
  }
  if (killedBy === 'disk') {
    return new BoughError({
      code: 'build-disk-full',
      message: `The build hook of ${name} wrote more than ${Math.round((spec.seclusion?.diskBytes ?? 0) / 1024 / 1024)} MB to the disk.`,
      hint: 'Builds of untrusted code have a small budget; make the build write less.',
      tail,
    });
  }
  if (killedBy === 'memory') {
    return new BoughError({
      code: 'build-out-of-memory',
      message: `The build hook of ${name} used more than ${Math.round(spec.limits.memoryBytes / 1024 / 1024)} MB of memory.`,
      hint: 'Make the build use less memory, or raise the memory of builds.',
      tail,
    });
  }
  return new BoughError({
    code: 'build-failed',
    message: `The build hook of ${name} failed with exit code ${exitCode}.`,
    hint: 'Correct the hook or the code that it builds, and push again.',
    tail,
  });
}
