import { createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Address, Endpoint } from '../src/service.ts';

/** What an app's driver is given. */
export function mariadbUrl(endpoint: Endpoint | undefined, address: Address): string {
  if (endpoint === undefined) throw new Error('no such endpoint');
  const { urlScheme, username, password, path } = endpoint;
  return `${urlScheme}://${username}:${password?.reveal()}@${address.host}:${address.port}/${path}`;
}

/** One statement as one user, the way an app's driver does it. */
export async function mariadbQuery(url: string, text: string): Promise<Record<string, unknown>[]> {
  const connection = await createConnection(url);
  try {
    const [rows] = await connection.query<RowDataPacket[]>(text);
    return Array.isArray(rows) ? rows : [];
  } finally {
    await connection.end();
  }
}
