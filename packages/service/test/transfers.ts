import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Address, Credentials } from '../src/service.ts';
import { query } from './query.ts';

const accounts = 200;
const balance = 1_000;

/** Moves money to and fro, and checkpoints all the while: whatever a copy sees, the sum must be the same. */
export async function startTransfers(
  address: Address,
  app: Credentials['endpoints'][string],
  superuser: Credentials,
) {
  await query(
    address,
    app,
    'main',
    'create table accounts (id int primary key, balance int not null, note text)',
  );
  await query(
    address,
    app,
    'main',
    'create table transfers (id bigserial primary key, amount int, note text)',
  );
  await query(
    address,
    app,
    'main',
    `insert into accounts select n, ${balance}, repeat('x', 2000) from generate_series(1, ${accounts}) n`,
  );
  let done = 0;
  let stopped = false;
  const errors: string[] = [];
  const loop = async (login: typeof app, database: string, work: (client: Client) => Promise<void>) => {
    const client = new Client({
      host: address.host,
      port: address.port,
      user: login.username,
      password: login.password.reveal(),
      database,
    });
    client.on('error', () => {});
    await client.connect();
    try {
      while (!stopped) await work(client);
    } catch (error) {
      errors.push(String(error));
    } finally {
      await client.end();
    }
  };
  const transfer = async (client: Client) => {
    // Locked in one order, so that two transfers never wait for each other.
    const [low, high] = [Math.random(), Math.random()]
      .map((n) => 1 + Math.floor(n * accounts))
      .sort((a, b) => a - b);
    await client.query('begin');
    await client.query(`update accounts set balance = balance - 7 where id = ${low}`);
    await client.query(`update accounts set balance = balance + 7 where id = ${high}`);
    await client.query(`insert into transfers (amount, note) values (7, repeat('y', 500))`);
    await client.query('commit');
    done += 1;
  };
  const checkpoint = async (client: Client) => {
    await client.query('checkpoint');
    await delay(100);
  };
  const running = [
    loop(app, 'main', transfer),
    loop(app, 'main', transfer),
    loop(app, 'main', transfer),
    loop(superuser, 'postgres', checkpoint),
  ];
  return {
    total: accounts * balance,
    count: () => done,
    errors: () => errors,
    async waitForMore(more: number) {
      const goal = done + more;
      const deadline = Date.now() + 30_000;
      while (done < goal) {
        if (Date.now() > deadline || errors.length > 0) throw new Error(`no transfers: ${errors.join('; ')}`);
        await delay(10);
      }
    },
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}
