import type { Environment } from '@bough/domain/environment';
import { canonicalDigest } from '@bough/manifest/canonical-json';
import { readSchema } from '@bough/sanitize/read-schema';
import type { Project } from '@bough/store/projects';
import type { Context, ReadSchema } from '../context.ts';
import { credentialsOf, declarationOf, serviceWorkloadId } from '../deploy/services.ts';
import { readRelease } from './golden.ts';
import { canSanitize, isMaskedAnew } from './sanitize-capture.ts';

const timeoutMs = 60_000;

/** The real one; a simulation has none. */
export const readServerSchema: ReadSchema = ({ type, server, signal }) =>
  readSchema({ kind: isMaskedAnew(type) ? 'mariadb' : 'postgresql', server, signal });

/**
 * What production's databases look like now: another digest than before the newest capture means that the golden is
 * outdated, also where no deployment changed the schema. Null when it cannot be seen; then nothing is concluded.
 */
export async function readParentSchema(
  context: Context,
  of: { project: Project; parent: Environment; signal: AbortSignal },
): Promise<string | null> {
  const { project, parent } = of;
  if (context.readSchema === undefined) return null;
  // Nothing is written at this fence: it stands for "no environment's lock".
  const fence = { environmentId: parent.id, generation: '0', lease: '0' };
  try {
    const run = await readRelease(context, project, parent, { signal: of.signal, fence });
    const signal = AbortSignal.any([of.signal, AbortSignal.timeout(timeoutMs)]);
    const digests: [string, string][] = [];
    for (const planned of run.plan.common.services) {
      const service = context.service(planned.type);
      if (service.cloning === undefined || !canSanitize(planned.type)) continue;
      const running = await context.engine.observe(serviceWorkloadId(run, planned.name));
      if (running?.address === undefined) return null;
      const { username, password } = await credentialsOf(run, declarationOf(planned));
      const server = { ...running.address, username, password };
      digests.push([planned.name, await context.readSchema({ type: planned.type, server, signal })]);
    }
    return digests.length === 0 ? null : canonicalDigest(digests);
  } catch (error) {
    of.signal.throwIfAborted();
    context.log.info({ project: project.slug, reason: String(error) }, 'production’s schema was not seen');
    return null;
  }
}
