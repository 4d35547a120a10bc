import { BoughError } from '@bough/domain/bough-error';
import { randomSecret } from '../random-secret.ts';
import type { Credentials, Endpoint, ServiceDeclaration } from '../service.ts';
import { defaultEndpoint, readConfiguration, superuser } from './configuration.ts';
import type { Login } from './connection.ts';

/** Apps on the reference platform see the user `user` behind the default endpoint, and some write it down. */
function userOf(endpoint: string): string {
  return endpoint === defaultEndpoint ? 'user' : endpoint;
}

export function mariadbCredentials(declaration: ServiceDeclaration): Credentials {
  const names = Object.keys(readConfiguration(declaration).endpoints);
  const endpoints = names.map((name) => [name, { username: userOf(name), password: randomSecret() }]);
  return { username: superuser, password: randomSecret(), endpoints: Object.fromEntries(endpoints) };
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

export function endpointLogin(
  declaration: ServiceDeclaration,
  credentials: Credentials,
  endpoint: string,
): Login {
  const login = credentials.endpoints[endpoint];
  if (login) return login;
  throw new BoughError({
    code: 'credentials-incomplete',
    message: `There are no credentials for the endpoint ${endpoint} of service "${declaration.name}".`,
    hint: 'Redeploy the environment, which makes those that are missing.',
  });
}
