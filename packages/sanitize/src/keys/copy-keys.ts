import { setTimeout as sleep } from 'node:timers/promises';
import type { Finding } from '../finding.ts';
import type { PrivateServer } from '../session.ts';
import { type KeyAllowances, keyRuleText } from './key-rules.ts';
import { bullBase, isKombuBinding, isQueueKey, maybeTellsOfQueue, type QueueKeys } from './queue-keys.ts';
import { buffers, type RedisSession, text, withRedis } from './redis-session.ts';

/** A preview's server has 64 MiB, and what it starts with must leave room for what it writes. */
const keysBytesMax = 32 * 1024 * 1024;
/** One that is larger would stop production for longer than a glance. */
const keyBytesMax = 8 * 1024 * 1024;
/** What is under way between the two servers. */
const batchBytesMax = 1024 * 1024;
const batchKeysMax = 100;
/** The copy works at most as long as it rests, up to this. */
const restMaxMs = 50;
const queuesMax = 10_000;
const bindingMembersMax = 1_000;
const samplesMax = 64;
const sampleBytesMin = 12;
const sampleBytesMax = 64;
const progressEveryMs = 5_000;

export interface CopiedKeys {
  readonly scanned: number;
  readonly queues: number;
  /** By allowance: those without a time to live, which must all be there afterwards. */
  readonly lasting: readonly number[];
  readonly known: QueueKeys;
  /** Names and values that were left out: never print one. */
  readonly samples: readonly Buffer[];
  readonly findings: readonly Finding[];
}

/**
 * Copies the keys that rules name from a server that goes on serving into an empty one, each as it was at one moment, all of
 * them over the time that it takes. No key is changed, and where the server knows how to be asked so, none is touched.
 */
export async function copyKeys(of: {
  service: string;
  source: PrivateServer;
  target: PrivateServer;
  allowances: KeyAllowances;
  signal: AbortSignal;
  line: (text: string) => void;
}): Promise<CopiedKeys> {
  return withRedis(of.source, of.signal, (from) =>
    withRedis(of.target, of.signal, async (to) => {
      // Redis 7.2 and Valkey: reading does not make a key younger for the one who evicts. Older ones refuse it.
      await from.try([['client', 'no-touch', 'on']]);
      const tally: Tally = {
        ...{ scanned: 0, queues: 0, bytes: 0, tooLarge: 0, refused: 0 },
        lasting: of.allowances.all.map(() => 0),
        samples: [],
      };
      const databases = await from.databases();
      const known = await findAllQueues(from, databases, of.signal);
      await copyDatabases({ ...of, from, to, known, tally }, databases);
      return { ...tally, known, findings: findingsOf(of, tally) };
    }),
  );
}

/** Ends early when there is more than may be copied, which is a finding. */
async function copyDatabases(of: Copying, databases: readonly number[]): Promise<void> {
  const { from, to, tally, signal } = of;
  let saidAt = Date.now();
  for (const database of databases) {
    await Promise.all([from.ask([['select', database]]), to.ask([['select', database]])]);
    for await (const names of from.scan()) {
      const began = Date.now();
      await copyBatch(of, names);
      if (Date.now() - saidAt > progressEveryMs) {
        of.line(`${tally.scanned} names looked at, ${tally.bytes} bytes copied`);
        saidAt = Date.now();
      }
      if (tally.bytes > keysBytesMax) return;
      await rest(Date.now() - began, signal);
    }
  }
}

interface Tally {
  scanned: number;
  queues: number;
  bytes: number;
  tooLarge: number;
  refused: number;
  readonly lasting: number[];
  readonly samples: Buffer[];
}

interface Copying {
  readonly allowances: KeyAllowances;
  readonly from: RedisSession;
  readonly to: RedisSession;
  readonly known: QueueKeys;
  readonly tally: Tally;
  readonly signal: AbortSignal;
  readonly line: (text: string) => void;
}

/** A queue of one database may keep its jobs in another. */
async function findAllQueues(
  from: RedisSession,
  databases: readonly number[],
  signal: AbortSignal,
): Promise<QueueKeys> {
  const found: QueueKeys[] = [];
  for (const database of databases) {
    await from.ask([['select', database]]);
    found.push(await findQueues(from, signal));
  }
  return {
    bases: new Set(found.flatMap(({ bases }) => [...bases])),
    names: new Set(found.flatMap(({ names }) => [...names])),
  };
}

/** First all names, for the jobs of a queue are told only by what else it keeps. */
async function findQueues(from: RedisSession, signal: AbortSignal): Promise<QueueKeys> {
  const bases = new Set<string>();
  const names = new Set<string>();
  for await (const batch of from.scan()) {
    const began = Date.now();
    const telling = batch.filter(maybeTellsOfQueue);
    const types = await from.ask(telling.map((name) => ['type', name]));
    // Refused where the key is of another type than a queue's would be.
    const options = await from.try(telling.map((name) => ['hexists', name, 'opts.maxLenEvents']));
    for (const [index, name] of telling.entries()) {
      const base = bullBase(name, text(types[index]), options[index] === 1);
      if (base !== undefined && bases.size < queuesMax) bases.add(base);
    }
    const bindings = telling.filter((name) => isKombuBinding(name.toString('latin1')));
    const members = await from.try(bindings.map((name) => ['sscan', name, 0, 'count', bindingMembersMax]));
    for (const member of members.flatMap(buffers)) {
      const queue = member.toString('latin1').split('\x06\x16').at(-1) ?? '';
      if (queue !== '' && queue !== '0' && names.size < queuesMax) names.add(queue);
    }
    await rest(Date.now() - began, signal);
  }
  return { bases, names };
}

async function copyBatch(of: Copying, names: readonly Buffer[]): Promise<void> {
  const { allowances, from, tally } = of;
  tally.scanned += names.length;
  const named = names.filter((name) => allowances.names(name));
  await takeSamples(of, names);
  const facts = await readFacts(from, named);
  let batch: Wanted[] = [];
  let bytes = 0;
  for (const { name, type, ttlMs, sizeBytes, consumerGroups } of facts) {
    const allowance = allowances.find(name, { type, ttlMs });
    if (allowance === undefined) continue;
    if (isQueueKey(name, { type, consumerGroups }, of.known)) {
      tally.queues += 1;
      continue;
    }
    if (sizeBytes > keyBytesMax) {
      tally.tooLarge += 1;
      continue;
    }
    if (batch.length >= batchKeysMax || bytes + sizeBytes > batchBytesMax) {
      await move(of, batch);
      batch = [];
      bytes = 0;
      if (tally.bytes > keysBytesMax) return;
    }
    batch.push({ name, type, sizeBytes });
    bytes += sizeBytes;
  }
  await move(of, batch);
}

interface Wanted {
  /** In production's memory; what is sent of it may be packed. */
  readonly sizeBytes: number;
  readonly name: Buffer;
  readonly type: string;
}

async function readFacts(from: RedisSession, names: readonly Buffer[]) {
  const asked = await from.ask(
    names.flatMap((name) => [
      ['type', name],
      ['pttl', name],
    ]),
  );
  // Refused by servers that do not have it, and where the key has gone.
  const sizes = await from.try(names.map((name) => ['memory', 'usage', name]));
  const types = names.map((_, index) => text(asked[2 * index]));
  const streams = names.filter((_, index) => types[index] === 'stream');
  const groups = await from.try(streams.map((name) => ['xinfo', 'groups', name]));
  const grouped = new Map(streams.map((name, index) => [name, groups[index]]));
  return names.flatMap((name, index) => {
    const type = types[index] ?? 'none';
    const ttlMs = Number(asked[2 * index + 1]);
    if (type === 'none' || ttlMs === -2) return [];
    const size = sizes[index];
    const found = grouped.get(name);
    return [
      {
        ...{ name, type, ttlMs },
        // A server that does not tell sizes is asked for one key at a time.
        sizeBytes: typeof size === 'number' ? size : batchBytesMax,
        // What cannot be said of a stream is taken for the worse.
        consumerGroups: Array.isArray(found) ? found.length : type === 'stream' ? 1 : 0,
      },
    ];
  });
}

/** Time to live and bytes in one look, so that they belong together. */
async function move({ allowances, from, to, tally }: Copying, batch: readonly Wanted[]): Promise<void> {
  const replies = await from.ask(
    batch.flatMap(({ name }) => [
      ['pttl', name],
      ['dump', name],
    ]),
  );
  const now = Date.now();
  const found = batch.flatMap((wanted, index) => {
    const ttlMs = Number(replies[2 * index]);
    const dump = replies[2 * index + 1];
    // It may have got more time since it was chosen.
    const allowance = allowances.find(wanted.name, { type: wanted.type, ttlMs });
    if (!Buffer.isBuffer(dump) || ttlMs === -2 || allowance === undefined) return [];
    return [{ ...wanted, index: allowance.index, ttlMs, dump }];
  });
  const restored = await to.try(
    found.map(({ name, ttlMs, dump }) =>
      ttlMs < 0 ? ['restore', name, 0, dump] : ['restore', name, now + ttlMs, dump, 'absttl'],
    ),
  );
  for (const [index, { ttlMs, dump, sizeBytes, index: allowance }] of found.entries()) {
    const reply = restored[index];
    // It came twice, because it was moved while the names were read.
    if (reply instanceof Error && reply.message.startsWith('BUSYKEY')) continue;
    if (reply instanceof Error && reply.message.startsWith('OOM')) tally.bytes = keysBytesMax + 1;
    else if (reply instanceof Error) tally.refused += 1;
    else if (ttlMs < 0) tally.lasting[allowance] = (tally.lasting[allowance] ?? 0) + 1;
    tally.bytes += Math.max(sizeBytes, dump.length);
  }
}

/** Of what stays behind: no file of the golden may hold it. */
async function takeSamples({ allowances, from, tally }: Copying, names: readonly Buffer[]): Promise<void> {
  const room = samplesMax - tally.samples.length;
  if (room <= 0) return;
  const left = names.filter((name) => !allowances.names(name)).slice(0, room);
  const values = await from.try(left.map((name) => ['getrange', name, 0, sampleBytesMax - 1]));
  for (const sample of [...left, ...values])
    if (Buffer.isBuffer(sample) && sample.length >= sampleBytesMin)
      tally.samples.push(sample.subarray(0, sampleBytesMax));
}

function findingsOf(of: { service: string; allowances: KeyAllowances }, tally: Tally): Finding[] {
  const where = `keys: ${of.service}`;
  const narrower =
    'Narrow the patterns, or take only what is about to expire: { allow: "catalog:*", ttl: 1h }.';
  const findings: Finding[] = [];
  if (tally.bytes > keysBytesMax)
    findings.push({
      code: 'too-large',
      where,
      message: `Its patterns let more than ${keysBytesMax / 1024 / 1024} MiB of keys through, which is half of what a preview's server may hold. ${narrower}`,
      paste: null,
    });
  if (tally.tooLarge > 0)
    findings.push({
      code: 'too-large',
      where,
      message: `${tally.tooLarge} keys that its patterns let through have more than ${keyBytesMax / 1024 / 1024} MiB each. ${narrower}`,
      paste: null,
    });
  if (tally.refused > 0)
    findings.push({
      code: 'not-readable',
      where,
      message: `${tally.refused} keys that its patterns let through could not be written into a fresh server of the manifest's version; a module's types cannot. Name the types that are meant: type: [string, hash]. Rules now: ${of.allowances.all.map(({ rule }) => keyRuleText(rule)).join(', ')}.`,
      paste: null,
    });
  return findings;
}

/** Production's clients come first. */
async function rest(workedMs: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.min(workedMs, restMaxMs), undefined, { signal });
}
