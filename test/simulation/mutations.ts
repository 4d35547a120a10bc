import type { Context } from '@bough/reconcile/context';
import type { Mutation } from './mutation.ts';

/**
 * Guards of the product, each taken away. A simulation that does not notice would prove nothing: of some hundred
 * histories at least one has to break one of the invariants named.
 */
export const mutations: readonly Mutation[] = [
  {
    // Without its heartbeat too, which leaves the fence only a third of a second to be needed in.
    name: 'writes are not fenced by generation and lease, and nobody notices what is newer',
    context: withoutHeartbeat,
    seed: 20,
    breaks: ['newest commit wins'],
    statement: replacing(
      'id = $1 and generation = $2 and lease = $3',
      'id = $1 and $2::bigint is not null and $3::bigint is not null',
    ),
  },
  {
    name: 'the lock is not taken',
    seed: 15,
    breaks: ['one reconcile at a time'],
    statement: replacing(
      'pg_try_advisory_lock($1, $2::int)',
      '($1::int is not null and $2::int is not null)',
    ),
  },
  {
    name: 'a pull request that was open once counts as open',
    seed: 1,
    breaks: ['no resurrection'],
    forge: (forge) => ({
      ...forge,
      async readPullRequest(...of) {
        const pull = await forge.readPullRequest(...of);
        return pull === 'gone' ? pull : { ...pull, state: 'open' };
      },
    }),
  },
  {
    name: 'a read that fails means that the pull request is gone, and that is believed at once',
    seed: 16,
    breaks: ['nothing removed unasked'],
    statement: replacing(
      "jsonb_build_object('missingSince', $2::text)",
      "jsonb_build_object('missingSince', left($2::text, 0) || '2000-01-01')",
    ),
    forge: (forge) => ({
      ...forge,
      readPullRequest: (...of) => forge.readPullRequest(...of).catch(() => 'gone' as const),
    }),
  },
  {
    name: 'the comment is not looked for by its marker',
    aim: 'feedback: forge publish comment',
    breaks: ['one true comment'],
    forge: (forge) => ({
      ...forge,
      publishComment: (repository, comment) =>
        forge.publishComment(repository, { ...comment, marker: 'a marker that no comment has' }),
    }),
  },
  {
    name: 'nothing is reaped',
    aim: 'data: service ready',
    seed: 5,
    breaks: ['nothing without an owner'],
    context: (context) => ({ ...context, mayReap: false }),
  },
  {
    name: 'volumes are not found by their labels',
    seed: 1,
    breaks: ['nothing without an owner'],
    context: (context) => ({ ...context, storage: { ...context.storage, list: async () => [] } }),
  },
  {
    name: 'reaping takes what belongs to living environments',
    seed: 5,
    breaks: ['nothing removed unasked', 'production untouched'],
    statement: replacing(
      'select id::text from environments where removed_at is null',
      'select id::text from environments where false',
    ),
  },
  {
    name: 'a clone is the golden snapshot itself',
    seed: 4,
    breaks: ['production untouched'],
    context: withoutCopies,
  },
  {
    name: 'what cannot be deployed is tried for ever',
    seed: 9,
    breaks: ['quiescence'],
    statement: replacing(
      'case when $8::timestamptz is null then generation else observed_generation end',
      'case when $8::timestamptz is null then observed_generation else observed_generation end',
    ),
  },
  {
    name: 'deliveries are not settled',
    seed: 2,
    breaks: ['quiescence'],
    statement: replacing(`fate in ('received', 'queued') and fate <> $2`, 'fate is null and fate <> $2'),
  },
  {
    name: 'a commit of a fork needs no approval of its own',
    seed: 281,
    breaks: ['only approved code'],
    statement: replacing(
      'where project_id = $1 and subject = $2 and commit = $3 order by approvals.id',
      'where project_id = $1 and $2::text is not null and $3::text is not null order by approvals.id',
    ),
  },
  {
    name: 'the forge is not asked who may write',
    seed: 58,
    breaks: ['only approved code', 'nothing removed unasked'],
    forge: (forge) => ({ ...forge, permission: async () => 'write' }),
  },
  {
    name: 'what goes to sleep is not stopped',
    seed: 7,
    breaks: ['asleep runs nothing'],
    context: (context) => ({ ...context, engine: { ...context.engine, stop: async () => {} } }),
  },
  {
    name: 'a visit is heard and nothing is woken',
    seed: 4,
    breaks: ['a visit wakes'],
    statement: replacing("where id = $1 and desired_state = 'asleep'", 'where id = $1 and false'),
  },
  {
    name: 'other data takes the place of what is there before it serves',
    seed: 195,
    breaks: ['data is kept'],
    context: replacingInPlace,
  },
  {
    name: 'every pull request counts as labelled',
    seed: 11,
    breaks: ['newest commit wins', 'one true comment'],
    forge: (forge) => ({
      ...forge,
      async readPullRequest(...of) {
        const pull = await forge.readPullRequest(...of);
        return pull === 'gone' ? pull : { ...pull, labels: ['preview'] };
      },
    }),
  },
  {
    name: 'places are not counted',
    seed: 7,
    breaks: ['not too many awake'],
    statement: replacing('and (admitted_at is not null', 'and (false'),
  },
  {
    name: 'whoever goes to sleep keeps its place',
    seed: 7,
    breaks: ['room in turn', 'quiescence', 'newest commit wins'],
    statement: replacingAll([
      ['waiting_reason = null, admitted_at = null', 'waiting_reason = null'],
      ['set admitted_at = null', 'set admitted_at = admitted_at'],
    ]),
  },
  {
    name: 'who waits is not asked before others',
    seed: 15,
    breaks: ['room in turn'],
    statement: replacing(
      'then waiting_since end as "waitingSince"',
      'then null::timestamptz end as "waitingSince"',
    ),
  },
  {
    name: 'whoever was used last sleeps first',
    seed: 2346,
    breaks: ['room in turn'],
    statement: replacing(
      'last_request_at as "lastRequestAt", changed_at as "changedAt"',
      `null::timestamptz as "lastRequestAt", to_timestamp(4e9 - extract(epoch from changed_at)) - interval '100 years' as "changedAt"`,
    ),
  },
  {
    name: 'open pull requests are not listed',
    seed: 4,
    breaks: ['newest commit wins', 'no resurrection', 'one true comment'],
    forge: (forge) => ({ ...forge, listOpen: async () => 'unchanged' }),
  },
];

/** Every statement that holds the text holds another one instead. */
function replacing(text: string, by: string): (statement: string) => string {
  return (statement) => statement.replaceAll(text, by);
}

function replacingAll(all: readonly (readonly [string, string])[]): (statement: string) => string {
  return (statement) => all.reduce((text, [old, by]) => text.replaceAll(old, by), statement);
}

/** The lock's timers are the only ones of this length (packages/store/src/environment-lock.ts). */
const HEARTBEAT_MS = 300;

function withoutHeartbeat(context: Context): Context {
  const { clock } = context;
  const after: typeof clock.after = (ms, run, options) =>
    ms === HEARTBEAT_MS ? { cancel: () => {} } : clock.after(ms, run, options);
  return { ...context, clock: { ...clock, after } };
}

function withoutCopies(context: Context): Context {
  const { storage } = context;
  const ensure: typeof storage.ensure = async (spec) => {
    const volume = await storage.ensure(spec);
    const source = (await storage.listSnapshots()).find(({ id }) => id === spec.from);
    return source === undefined ? volume : { ...volume, path: source.path };
  };
  return { ...context, storage: { ...storage, ensure } };
}

function replacingInPlace(context: Context): Context {
  const { storage } = context;
  const bare = (name: string) => name.replace(/@\d+$/, '');
  const ensure: typeof storage.ensure = async (spec) => {
    const others = (await storage.list()).filter(
      ({ id, labels }) =>
        id !== spec.id &&
        labels.environmentId === spec.labels.environmentId &&
        bare(labels.name) === bare(spec.labels.name),
    );
    if (bare(spec.labels.name) !== spec.labels.name) for (const { id } of others) await storage.remove(id);
    return await storage.ensure(spec);
  };
  return { ...context, storage: { ...storage, ensure } };
}
