import { endpointLogin, makeCredentials } from '../endpoint-login.ts';
import type { Credentials, Endpoint, ServiceDeclaration } from '../service.ts';
import { defaultEndpoint, readConfiguration, superuser } from './configuration.ts';

/** Apps on the reference platform see the user `main` behind the default endpoint, and some write it down. */
function userOf(endpoint: string): string {
  return endpoint === defaultEndpoint ? 'main' : endpoint;
}

export function postgresCredentials(declaration: ServiceDeclaration): Credentials {
  const names = Object.keys(readConfiguration(declaration).endpoints);
  return makeCredentials(superuser, Object.fromEntries(names.map((name) => [name, userOf(name)])));
}

export function postgresEndpoints(
  declaration: ServiceDeclaration,
  credentials: Credentials,
): Record<string, Endpoint> {
  const { endpoints } = readConfiguration(declaration);
  return Object.fromEntries(
    Object.entries(endpoints).map(([name, { defaultDatabase }]) => [
      name,
      {
        scheme: 'pgsql',
        urlScheme: 'postgresql',
        ...endpointLogin(declaration, credentials, name),
        path: defaultDatabase,
        query: { is_master: true },
      },
    ]),
  );
}
