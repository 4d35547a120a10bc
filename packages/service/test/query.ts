import type { Secret } from '@bough/domain/secret';
import { Client } from 'pg';
import type { Address } from '../src/service.ts';

/** One statement as one user, the way an app's driver does it. */
export async function query<Row extends object>(
  address: Address,
  login: { username: string; password: Secret | null },
  database: string,
  text: string,
): Promise<Row[]> {
  const client = new Client({
    host: address.host,
    port: address.port,
    user: login.username,
    password: login.password?.reveal(),
    database,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}
