import type { Client } from 'pg';
import { connectAccepted, isClaimRefused, type Login } from '../endpoint-login.ts';
import type { Address, Adoption, ServiceDeclaration } from '../service.ts';
import { waitUntilReady } from '../wait-until-ready.ts';
import { claimRoles, isParted, partDatabases } from './claim.ts';
import { readConfiguration } from './configuration.ts';
import { connect, disconnect, isNoDatabase, isRefusal } from './connection.ts';
import { provisionThrough } from './provision.ts';
import { versionOf } from './ready.ts';
import { verifiersOf } from './scram.ts';

/**
 * Claims a copy, provisions it and reads its version over one connection to its first database, the one that apps ask
 * next: a server that was just started rebuilds its cache of a database's catalogue at the first connection to that,
 * which costs more than all that is done here. So no other is looked into unless it must be.
 */
export async function postgresAdopt(
  declaration: ServiceDeclaration,
  address: Address,
  adoption: Adoption,
): Promise<{ version: string }> {
  const { from, to } = adoption;
  if (from.username !== to.username) throw new Error('a claim cannot rename the superuser');
  const [first = 'postgres'] = readConfiguration(declaration).databases;
  // The passwords are digested while the server starts.
  const [verifiers, { client, database }] = await Promise.all([
    verifiersOf(to),
    connectFirst(address, adoption, first),
  ]);
  try {
    await claimRoles(client, verifiers);
    if (!(await isParted(client))) await partDatabases(client, address, to);
    await provisionThrough(
      { client, database, address },
      { declaration, credentials: to, verifiers, areClaimed: true },
    );
    return { version: await versionOf(client) };
  } finally {
    await disconnect(client);
  }
}

/** As soon as it answers. The golden's login first: the copy has its own only where an earlier attempt was cut short. */
function connectFirst(
  address: Address,
  { from, to, signal }: Adoption,
  first: string,
): Promise<{ client: Client; database: string }> {
  const into = async (database: string) => {
    const through = (login: Login) => connect(address, login, { database, signal });
    return { client: await connectAccepted(address, [from, to], through, isRefusal), database };
  };
  const ask = () =>
    into(first).catch((error: unknown) => {
      // One that the golden lacks is made by provisioning.
      if (isNoDatabase(error)) return into('postgres');
      throw error;
    });
  return waitUntilReady(ask, isClaimRefused, signal);
}
