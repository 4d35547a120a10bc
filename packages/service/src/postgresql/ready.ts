import type { Client } from 'pg';
import type { Address, Credentials } from '../service.ts';
import { waitUntilReady } from '../wait-until-ready.ts';
import { isRefusal, withConnection } from './connection.ts';

export async function postgresReady(
  address: Address,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<{ version: string }> {
  const ask = () =>
    withConnection(address, credentials, { signal, statementTimeoutMs: 5_000 }, async (client) => ({
      version: await versionOf(client),
    }));
  return waitUntilReady(ask, isRefusal, signal);
}

/** `17.10`: the number alone, without what a distribution appends to it. */
export async function versionOf(client: Client): Promise<string> {
  const { rows } = await client.query<{ server_version: string }>('show server_version');
  return rows[0]?.server_version.split(' ')[0] ?? 'unknown';
}
