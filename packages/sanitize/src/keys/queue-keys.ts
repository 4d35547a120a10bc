/**
 * Which keys are a queue's. A preview that had them would run production's jobs: send its mail, charge its cards. What may be
 * a queue's is taken for one, because a key too few costs a preview nothing that it cannot make anew.
 */
export interface QueueKeys {
  /** Names that `find` did not know by themselves: `mail:` of a BullMQ with a prefix of its own, a queue of Celery's. */
  readonly bases: ReadonlySet<string>;
  readonly names: ReadonlySet<string>;
}

interface Family {
  readonly name: RegExp;
  /** Left out: any. */
  readonly types?: readonly string[];
}

/** By the names that each library gives its keys, with a namespace before them where it can have one. */
const families: readonly Family[] = [
  // BullMQ and Bull, Bee-Queue, Kue.
  { name: /^\{?bull(mq)?\}?:/ },
  { name: /^\{?bq\}?:/ },
  { name: /^\{?q\}?:(jobs?|ids|search|stats|groups)(:|$)/ },
  // Sidekiq, Resque, Laravel, and whatever else says that it is a queue.
  { name: /(^|[:_.-])queues?([:_]|$)/ },
  { name: /(^|:)(schedule|retry|dead)$/, types: ['zset'] },
  { name: /(^|:)(processes|workers)$/, types: ['set'] },
  { name: /(^|[:_-])resque[:_]/ },
  { name: /(^|[:_-])(sidekiq|horizon)[:_]/ },
  // Celery by way of Kombu.
  { name: /_kombu\./ },
  { name: /unacked(_index|_mutex)?$/ },
  { name: /^celery(-|$)|celery-task-?(set-)?meta-|(^|:)redbeat/ },
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Kombu writes a queue's priority behind them.
  { name: /\x06\x16/ },
  // RQ, Dramatiq, Huey, ARQ, taskiq, asynq, Hangfire, Symfony's Messenger.
  { name: /(^|:)(rq|dramatiq|arq|taskiq)(:|$)/ },
  { name: /^huey[.:]/ },
  { name: /^asynq:/ },
  { name: /^\{?hangfire\}?:/ },
];

/** Ends of names that a Bull of any prefix has, with the types that they have there. */
const bullEnds: readonly { readonly end: string; readonly type: string }[] = [
  { end: ':wait', type: 'list' },
  { end: ':active', type: 'list' },
  { end: ':paused', type: 'list' },
  { end: ':completed', type: 'zset' },
  { end: ':failed', type: 'zset' },
  { end: ':delayed', type: 'zset' },
  { end: ':prioritized', type: 'zset' },
  { end: ':stalled', type: 'set' },
  { end: ':stalled-check', type: 'string' },
];

/** Whether its type would tell more of the queues that there are. */
export function maybeTellsOfQueue(name: Buffer): boolean {
  const text = name.toString('latin1');
  return text.endsWith(':meta') || isKombuBinding(text) || bullEnds.some(({ end }) => text.endsWith(end));
}

export function isKombuBinding(name: string): boolean {
  return name.includes('_kombu.binding.');
}

/** What its jobs' names begin with, if a key of this type is one that a Bull keeps beside its jobs. */
export function bullBase(name: Buffer, type: string, hasQueueOptions: boolean): string | undefined {
  const text = name.toString('latin1');
  if (text.endsWith(':meta')) return hasQueueOptions ? text.slice(0, -'meta'.length) : undefined;
  const known = bullEnds.find(({ end, type: wanted }) => wanted === type && text.endsWith(end));
  return known === undefined ? undefined : text.slice(0, text.length - known.end.length + 1);
}

export function isQueueKey(
  name: Buffer,
  of: { type: string; consumerGroups: number },
  known: QueueKeys,
): boolean {
  if (of.consumerGroups > 0) return true;
  const text = name.toString('latin1');
  if (known.names.has(text)) return true;
  for (let end = text.indexOf(':'); end >= 0; end = text.indexOf(':', end + 1))
    if (known.bases.has(text.slice(0, end + 1))) return true;
  return families.some(
    ({ name: pattern, types }) => (types === undefined || types.includes(of.type)) && pattern.test(text),
  );
}
