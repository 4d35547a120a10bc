import { BoughError } from '@bough/domain/bough-error';
import type { Manifest, Problem, ServiceEntry } from '@bough/manifest/manifest';
import type { Service } from '@bough/service/service';

/** What the services' drivers find wrong with their own configuration, each at the place of its service. */
export function checkServices(manifest: Manifest, serviceOf: (type: string) => Service): Problem[] {
  return manifest.services.flatMap((entry) => checkService(entry, serviceOf));
}

function checkService(entry: ServiceEntry, serviceOf: (type: string) => Service): Problem[] {
  const at = (message: string, hint: string): Problem => ({
    ...entry.place,
    message: `service "${entry.name}": ${message}`,
    hint,
  });
  try {
    const problems = serviceOf(entry.type).check(entry);
    return problems.map(({ path, message, hint }) => at(`${[...path].join('.')}: ${message}`, hint));
  } catch (error) {
    if (!(error instanceof BoughError)) throw error;
    return [at(error.message, error.hint ?? '')];
  }
}
