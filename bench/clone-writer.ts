import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { type Spread, spreadOf } from './spread.ts';

/**
 * Who writes to the parent while it is captured, a process of its own, so that nothing that measures stalls it. Open loop:
 * what is due is due, however slow the answers are. Each transaction is pgbench's (TPC-B): four tables that must agree.
 */
export interface WriterOrders {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly scale: number;
  readonly rate: number;
}

/** Since the last time that somebody asked. */
export interface WriterReport {
  readonly committed: number;
  readonly failed: number;
  readonly seconds: number;
  /** From when a transaction was due to its commit. */
  readonly latencyMs: Spread;
  /** The longest time in which nothing was committed. */
  readonly longestGapMs: number;
}

const CONNECTIONS = 8;

process.once('message', (orders: WriterOrders) => {
  void write(orders).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});

async function write(orders: WriterOrders): Promise<void> {
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const client = new Client({ ...orders, application_name: 'writer' });
      client.on('error', () => {});
      await client.connect();
      return client;
    }),
  );
  let window = openWindow();
  let isStopped = false;
  process.on('message', (order: 'report' | 'stop') => {
    const report = closeWindow(window);
    window = openWindow();
    isStopped ||= order === 'stop';
    process.send?.(report);
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');
  const startedAt = performance.now();
  let next = 0;
  const work = async (client: Client) => {
    while (!isStopped) {
      const dueAt = startedAt + (next * 1000) / orders.rate;
      next += 1;
      const early = dueAt - performance.now();
      if (early > 0) await delay(early);
      const isDone = await transact(client, orders.scale);
      const now = performance.now();
      if (!isDone) window.failed += 1;
      else {
        window.gaps.push(now - window.lastAt);
        window.lastAt = now;
        window.latencies.push(now - dueAt);
      }
    }
    await client.end();
  };
  await Promise.all(clients.map(work));
  process.disconnect?.();
}

interface Window {
  readonly openedAt: number;
  lastAt: number;
  failed: number;
  readonly latencies: number[];
  readonly gaps: number[];
}

function openWindow(): Window {
  const now = performance.now();
  return { openedAt: now, lastAt: now, failed: 0, latencies: [], gaps: [] };
}

function closeWindow(window: Window): WriterReport {
  const now = performance.now();
  return {
    committed: window.latencies.length,
    failed: window.failed,
    seconds: (now - window.openedAt) / 1000,
    latencyMs: spreadOf(window.latencies),
    longestGapMs: Math.max(now - window.lastAt, ...window.gaps),
  };
}

async function transact(client: Client, scale: number): Promise<boolean> {
  const [aid, tid, bid] = [scale * 100_000, scale * 10, scale].map(
    (most) => 1 + Math.floor(Math.random() * most),
  );
  const amount = Math.floor(Math.random() * 10_001) - 5_000;
  try {
    await client.query('begin');
    await client.query('update pgbench_accounts set abalance = abalance + $1 where aid = $2', [amount, aid]);
    await client.query('update pgbench_tellers set tbalance = tbalance + $1 where tid = $2', [amount, tid]);
    await client.query('update pgbench_branches set bbalance = bbalance + $1 where bid = $2', [amount, bid]);
    await client.query('insert into pgbench_history values ($1, $2, $3, $4, now())', [tid, bid, aid, amount]);
    await client.query('commit');
    return true;
  } catch {
    await client.query('rollback').catch(() => {});
    return false;
  }
}
