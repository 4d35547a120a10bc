import type { Timer } from '@bough/domain/clock';
import type pg from 'pg';
import type { Database } from './database.ts';
import { Interrupted, type LockOptions } from './environment-lock.ts';

/** First half of the advisory lock's key: "rehearsal" among our advisory locks. */
const LOCK_CLASS = 0xb009;
/** A newer push ends a rehearsal within a second. */
const BEAT_MS = 300;
const BEAT_TIMEOUT_MS = 5_000;

const keyOf = (environmentId: string) => Number(BigInt(environmentId) % 2_147_483_647n);

/**
 * Runs `work` while nobody else rehearses for the environment. The environment's own lock is not taken: a rehearsal must
 * not keep a deployment waiting. The signal aborts as soon as another commit is wanted, another release
 * serves, or the environment is to go.
 */
export async function withRehearsalLock<Result>(
  options: Required<LockOptions> & { deploymentId: string },
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<{ kind: 'held'; result: Result } | { kind: 'busy' }> {
  const { clock } = options;
  const client = options.connect({
    connectionString: options.url,
    application_name: `bough rehearsal ${options.environmentId}`,
    connectionTimeoutMillis: 10_000,
    query_timeout: BEAT_TIMEOUT_MS,
    keepAlive: true,
  });
  const controller = new AbortController();
  const interrupt = (why: Interrupted['why']) => {
    if (!controller.signal.aborted) controller.abort(new Interrupted(why));
  };
  client.on('error', () => interrupt('lock-lost'));
  const onShutdown = () => interrupt('shutdown');
  options.signal.addEventListener('abort', onShutdown, { once: true });
  let beating: Timer | undefined;
  let isOver = false;
  try {
    await client.connect();
    const { rows } = await client.query<{ locked: boolean }>(
      'select pg_try_advisory_lock($1, $2::int) as locked',
      [LOCK_CLASS, keyOf(options.environmentId)],
    );
    if (rows[0]?.locked !== true) return { kind: 'busy' };
    if (options.signal.aborted) interrupt('shutdown');
    const beat = async () => {
      const isWanted = await isStillWanted(client, options).catch(() => 'lost' as const);
      if (isOver) return;
      if (isWanted === 'lost') return interrupt('lock-lost');
      if (!isWanted) return interrupt('superseded');
      beating = clock.after(BEAT_MS, beat);
    };
    await beat();
    return { kind: 'held', result: await work(controller.signal) };
  } finally {
    isOver = true;
    beating?.cancel();
    options.signal.removeEventListener('abort', onShutdown);
    // Ending the session releases the lock, whatever state it is in.
    await client.end().catch(() => {});
  }
}

/** Whether somebody rehearses for the environment at this moment. */
export async function isRehearsing(db: Database, environmentId: string): Promise<boolean> {
  const { rows } = await db.query<{ held: boolean }>(
    `select exists (select from pg_locks where locktype = 'advisory' and granted
       and database = (select oid from pg_database where datname = current_database())
       and classid = $1 and objid = $2 and objsubid = 2) as held`,
    [LOCK_CLASS, keyOf(environmentId)],
  );
  return rows[0]?.held === true;
}

async function isStillWanted(
  client: pg.Client,
  of: { environmentId: string; deploymentId: string },
): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from environments e join deployments d on d.id = $2 and d.id = e.release_deployment_id and d.commit = e.desired_commit
     where e.id = $1 and e.desired_state <> 'absent' and e.removed_at is null`,
    [of.environmentId, of.deploymentId],
  );
  return rowCount === 1;
}
