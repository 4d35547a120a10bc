import { BoughError } from '@bough/domain/bough-error';
import type { Engine } from '@bough/engine/engine';
import { toolchainsOf } from '@bough/manifest/compile-plan';
import type { Manifest, Problem, ServiceEntry } from '@bough/manifest/manifest';
import type { PlannedToolchain } from '@bough/manifest/plan';
import type { CompileRun } from './compile.ts';
import { ManifestProblems } from './manifest-problems.ts';
import type { StepVoice } from './run.ts';

/** What only another manifest can mend. Anything else (no network, no npm) is no fault of what is written there. */
const REFUSALS: ReadonlySet<string> = new Set([
  'toolchain-malformed',
  'toolchain-not-available',
  'toolchain-unknown',
]);

/** The exact version of every runtime and server that the manifest asks for; all that cannot be had are said at once. */
export async function resolveVersions(
  run: Pick<CompileRun, 'context' | 'lock'>,
  manifest: Manifest,
  voice: StepVoice,
): Promise<ReadonlyMap<string, PlannedToolchain>> {
  const { context, lock } = run;
  const serviceToolchain = (service: ServiceEntry) => context.service(service.type).toolchain(service);
  const wants = toolchainsOf(manifest, serviceToolchain);
  const answers = await Promise.all(wants.map((want) => resolveOrRefuse(context.engine, want, lock.signal)));
  const refused = new Map<string, BoughError>();
  const versions = new Map<string, PlannedToolchain>();
  for (const [index, want] of wants.entries()) {
    const answer = answers[index];
    if (answer instanceof BoughError) refused.set(want, answer);
    else if (answer !== undefined) versions.set(want, answer);
  }
  const [first] = refused.values();
  if (first !== undefined)
    throw new ManifestProblems(problemsOf(manifest, refused, serviceToolchain), first.code);
  for (const { want, version } of versions.values()) voice.line(`${want} is ${version}`);
  return versions;
}

async function resolveOrRefuse(
  engine: Pick<Engine, 'resolve'>,
  want: string,
  signal: AbortSignal,
): Promise<PlannedToolchain | BoughError> {
  try {
    const { version, digest } = await engine.resolve(want, { signal });
    return { want, version, digest };
  } catch (error) {
    if (error instanceof BoughError && REFUSALS.has(error.code)) return error;
    throw error;
  }
}

function problemsOf(
  manifest: Manifest,
  refused: ReadonlyMap<string, BoughError>,
  serviceToolchain: (service: ServiceEntry) => string,
): Problem[] {
  const asked = [
    ...manifest.apps.flatMap(({ name, place, toolchains }) =>
      toolchains.map((want) => ({ what: `app "${name}"`, place, want })),
    ),
    ...manifest.services.map((service) => ({
      what: `service "${service.name}"`,
      place: service.place,
      want: serviceToolchain(service),
    })),
  ];
  return asked.flatMap(({ what, place, want }) => {
    const error = refused.get(want);
    return error === undefined
      ? []
      : [{ ...place, message: `${what}: ${error.message}`, hint: error.hint ?? '' }];
  });
}
