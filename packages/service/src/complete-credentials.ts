import type { Credentials } from './service.ts';

/** Credentials that were stored, with those of endpoints that the manifest has gained since. What is stored wins. */
export function completeCredentials(stored: Credentials, fresh: Credentials): Credentials {
  return { ...stored, endpoints: { ...fresh.endpoints, ...stored.endpoints } };
}
