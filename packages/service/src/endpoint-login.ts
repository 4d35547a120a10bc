import { BoughError } from '@bough/domain/bough-error';
import type { Secret } from '@bough/domain/secret';
import { randomSecret } from './random-secret.ts';
import type { Address, Credentials, ServiceDeclaration } from './service.ts';

export interface Login {
  readonly username: string;
  readonly password: Secret;
}

/** New passwords for the account that Bough uses and for each endpoint's (endpoint → account). */
export function makeCredentials(superuser: string, accounts: Readonly<Record<string, string>>): Credentials {
  const endpoints = Object.entries(accounts).map(([endpoint, username]) => [
    endpoint,
    { username, password: randomSecret() },
  ]);
  return { username: superuser, password: randomSecret(), endpoints: Object.fromEntries(endpoints) };
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

/** A copy accepts its own password when an earlier claim came as far as that, else its parent's. */
export async function connectAccepted<Connected>(
  address: Address,
  logins: readonly Login[],
  connect: (login: Login) => Promise<Connected>,
  isRefusal: (error: unknown) => boolean,
): Promise<Connected> {
  for (const login of logins) {
    try {
      return await connect(login);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
  throw new BoughError({
    code: 'claim-refused',
    message: `The cloned database at ${address.host}:${address.port} accepts neither its own nor its parent's password.`,
    hint: 'The snapshot was made with other credentials: capture the parent anew.',
  });
}

/** Waiting does not mend it. */
export function isClaimRefused(error: unknown): boolean {
  return error instanceof BoughError && error.code === 'claim-refused';
}
