import type { RunResult, RunSpec } from '../engine.ts';
import { secretsOf } from '../variables.ts';
import type { ArtifactShelf } from './artifacts.ts';
import type { EngineContext } from './context.ts';
import { limitLines, runSealed, temporaryBytes } from './sealed.ts';
import { insideVariables, prepareMounts, resolveToolchains, shownRoots } from './surroundings.ts';

export async function run(context: EngineContext, shelf: ArtifactShelf, spec: RunSpec): Promise<RunResult> {
  const toolchains = await resolveToolchains(context.toolchain, spec.toolchains, spec.signal);
  const app = spec.artifact === undefined ? undefined : await shelf.open(spec.artifact);
  await prepareMounts(app, spec.mounts);
  const memoryBytes = temporaryBytes(spec.limits);
  return runSealed(context, {
    ...{ kind: 'run', labels: spec.labels, limits: spec.limits, timeoutMs: spec.timeoutMs },
    ...{ signal: spec.signal, onOutput: spec.onOutput, secrets: secretsOf(spec.env) },
    secluded: secludedOf(spec),
    stage: {
      hosts: spec.hosts,
      command: `${limitLines(context, spec)}${spec.command}\n`,
    },
    sandbox: (stage) => ({
      ...{ base: context.base, stage, mounts: spec.mounts, sharedMemoryBytes: memoryBytes },
      env: insideVariables(toolchains, spec.env),
      shown: shownRoots(toolchains, context.home),
      app: app === undefined ? undefined : { source: app, writable: false },
      home: { memoryBytes },
      temporary: { memoryBytes },
    }),
  });
}

function secludedOf({ seclusion, mounts }: RunSpec) {
  return seclusion && { seclusion, written: mounts.map(({ source }) => source) };
}
