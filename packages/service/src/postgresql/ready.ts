import type { Address, Credentials } from '../service.ts';
import { waitUntilReady } from '../wait-until-ready.ts';
import { isRefusal, withConnection } from './connection.ts';

/** `17.10`: the number alone, without what a distribution appends to it. */
export async function postgresReady(
  address: Address,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<{ version: string }> {
  const ask = () =>
    withConnection(address, credentials, { signal, statementTimeoutMs: 5_000 }, async (client) => {
      const { rows } = await client.query<{ server_version: string }>('show server_version');
      return { version: rows[0]?.server_version.split(' ')[0] ?? 'unknown' };
    });
  return waitUntilReady(ask, isRefusal, signal);
}
