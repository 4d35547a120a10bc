import { endpointLogin, makeCredentials } from '../endpoint-login.ts';
import type { Credentials, Endpoint, ServiceDeclaration } from '../service.ts';
import { defaultEndpoint, readConfiguration, superuser } from './configuration.ts';

/** Apps on the reference platform see the user `user` behind the default endpoint, and some write it down. */
function userOf(endpoint: string): string {
  return endpoint === defaultEndpoint ? 'user' : endpoint;
}

export function mariadbCredentials(declaration: ServiceDeclaration): Credentials {
  const names = Object.keys(readConfiguration(declaration).endpoints);
  return makeCredentials(superuser, Object.fromEntries(names.map((name) => [name, userOf(name)])));
}

export function mariadbEndpoints(
  declaration: ServiceDeclaration,
  credentials: Credentials,
): Record<string, Endpoint> {
  const { endpoints } = readConfiguration(declaration);
  return Object.fromEntries(
    Object.entries(endpoints).map(([name, { defaultSchema }]) => [
      name,
      {
        scheme: 'mysql',
        urlScheme: 'mysql',
        ...endpointLogin(declaration, credentials, name),
        path: defaultSchema,
        query: { is_master: true },
      },
    ]),
  );
}
