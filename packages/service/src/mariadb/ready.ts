import type { Address, Credentials } from '../service.ts';
import { waitUntilReady } from '../wait-until-ready.ts';
import { isRefusal, withConnection } from './connection.ts';

/** `10.11.19`: the number alone, without what a distribution appends to it. */
export async function mariadbReady(
  address: Address,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<{ version: string }> {
  const ask = () =>
    withConnection(address, credentials, { signal, statementTimeoutMs: 5_000 }, async (client) => {
      const [row] = await client.query<{ version: string }>('select version() as version');
      return { version: row?.version.split('-')[0] ?? 'unknown' };
    });
  return waitUntilReady(ask, isRefusal, signal);
}
