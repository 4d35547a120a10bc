import type { Detector, KeyRule } from '@bough/manifest/sanitize-policy';
import type { Finding } from '../finding.ts';
import { detect } from '../mariadb/detect.ts';
import { createSearch } from '../scan-files.ts';
import type { PrivateServer } from '../session.ts';
import { shapeWords } from '../shape-words.ts';
import type { CopiedKeys } from './copy-keys.ts';
import { type Allowance, type KeyAllowances, keyRuleText } from './key-rules.ts';
import { openedText, readCommand } from './key-texts.ts';
import { isQueueKey } from './queue-keys.ts';
import { buffers, type RedisSession, text, withRedis } from './redis-session.ts';

/** The private server has nothing else to do; this only bounds what is in memory. */
const batchKeysMax = 50;

export interface VerifiedKeys {
  readonly findings: readonly Finding[];
  readonly kept: number;
  /** By allowance. */
  readonly counts: readonly number[];
  readonly detectors: Readonly<Record<string, number>>;
  /** What no file may hold: samples, but for those that a key which is allowed says itself. */
  readonly needles: readonly Buffer[];
}

/**
 * Looks at what came out as if nobody had said how it was made: each key must be one that a rule lets through and no queue
 * keeps, those that do not expire must all be there, and nothing in a name or a value may look like somebody's.
 */
export async function verifyKeys(of: {
  service: string;
  target: PrivateServer;
  allowances: KeyAllowances;
  copied: CopiedKeys;
  /** All of the service, as they are written. */
  rules: readonly KeyRule[];
  signal: AbortSignal;
}): Promise<VerifiedKeys> {
  const seen: Seen = {
    tallies: of.allowances.all.map(() => ({ keys: 0, lasting: 0, kinds: new Map() })),
    ...{ unexpected: 0, unread: 0, said: new Set() },
    search: createSearch(of.copied.samples),
  };
  await withRedis(of.target, of.signal, async (session) => {
    for (const database of await session.databases()) {
      await session.ask([['select', database]]);
      for await (const names of session.scan())
        for (let at = 0; at < names.length; at += batchKeysMax)
          await look({ ...of, session, seen }, names.slice(at, at + batchKeysMax));
    }
  });
  const judged = seen.tallies.map((tally, index) => judge(of, tally, of.allowances.all[index]));
  const counted = seen.tallies.every(({ lasting }, index) => lasting === of.copied.lasting[index]);
  return {
    findings: [
      ...judged.flatMap(({ findings }) => findings),
      ...(counted && seen.unexpected === 0 ? [] : [countsFinding(of, seen)]),
      ...(seen.unread === 0 ? [] : [unreadFinding(of, seen)]),
    ],
    kept: seen.tallies.reduce((sum, { keys }) => sum + keys, 0),
    counts: seen.tallies.map(({ keys }) => keys),
    detectors: addedUp(judged.map(({ allowed }) => allowed)),
    needles: of.copied.samples.filter((sample) => !seen.said.has(sample)),
  };
}

interface KeyTally {
  keys: number;
  lasting: number;
  readonly kinds: Map<Detector, { seen: number; certain: number }>;
}

interface Seen {
  readonly tallies: readonly KeyTally[];
  unexpected: number;
  unread: number;
  /** Samples that stand in what is allowed: an index of names, say. */
  readonly said: Set<Buffer>;
  readonly search: ReturnType<typeof createSearch>;
}

interface Looking {
  readonly session: RedisSession;
  readonly allowances: KeyAllowances;
  readonly copied: CopiedKeys;
  readonly seen: Seen;
}

async function look({ session, allowances, copied, seen }: Looking, names: readonly Buffer[]): Promise<void> {
  const facts = await session.ask(
    names.flatMap((name) => [
      ['type', name],
      ['pttl', name],
    ]),
  );
  for (const [index, name] of names.entries()) {
    const type = text(facts[2 * index]);
    const ttlMs = Number(facts[2 * index + 1]);
    if (type === 'none' || ttlMs === -2) continue;
    const allowance = allowances.find(name, { type, ttlMs });
    const tally = allowance && seen.tallies[allowance.index];
    const [groups] = type === 'stream' ? await session.try([['xinfo', 'groups', name]]) : [[]];
    const consumerGroups = Array.isArray(groups) ? groups.length : 1;
    if (tally === undefined || isQueueKey(name, { type, consumerGroups }, copied.known)) {
      seen.unexpected += 1;
      continue;
    }
    tally.keys += 1;
    if (ttlMs < 0) tally.lasting += 1;
    const command = readCommand(name, type);
    if (command === undefined) {
      seen.unread += 1;
      continue;
    }
    const values = buffers(await session.ask([command]));
    for (const value of [name, ...values]) detectIn(tally, seen, copied.samples, value);
  }
}

function detectIn(tally: KeyTally, seen: Seen, samples: readonly Buffer[], value: Buffer): void {
  for (const { kind, certain } of detect(openedText(value))) {
    const count = tally.kinds.get(kind) ?? { seen: 0, certain: 0 };
    tally.kinds.set(kind, { seen: count.seen + 1, certain: count.certain + Number(certain) });
  }
  if (seen.search.count(value, 0) === 0) return;
  for (const sample of samples) if (value.includes(sample)) seen.said.add(sample);
}

/** Check digits fit by chance, too: among many candidates, half must fit. */
function judge(
  of: { service: string; rules: readonly KeyRule[] },
  tally: KeyTally,
  allowance: Allowance | undefined,
): { findings: Finding[]; allowed: Readonly<Record<string, number>> } {
  if (allowance === undefined) return { findings: [], allowed: {} };
  const findings: Finding[] = [];
  const allowed: Record<string, number> = {};
  for (const [kind, { seen, certain }] of tally.kinds) {
    const isOne = seen < 20 ? certain > 0 : certain * 2 >= seen;
    if (!isOne) continue;
    if (allowance.rule.holds.includes(kind)) allowed[kind] = certain;
    else
      findings.push({
        code: 'raw-value',
        where: `keys: ${of.service}: ${allowance.allow}`,
        message: `${certain} names or values of the keys that this pattern lets through hold what looks like ${shapeWords[kind]}. Narrow the pattern, or say that it may be there.`,
        paste: `keys:\n  ${JSON.stringify(of.service)}: [${of.rules
          .map((rule) => (rule === allowance.rule ? withHolds(rule, kind) : rule))
          .map(keyRuleText)
          .join(', ')}]`,
      });
  }
  return { findings, allowed };
}

function withHolds(rule: KeyRule, kind: Detector): KeyRule {
  return { ...rule, holds: [...rule.holds, kind], why: rule.why ?? 'say why previews may see it' };
}

function countsFinding(
  { service, copied }: { service: string; copied: CopiedKeys },
  { unexpected, tallies }: Seen,
): Finding {
  const wanted = copied.lasting.reduce((sum, count) => sum + count, 0);
  const there = tallies.reduce((sum, { lasting }) => sum + lasting, 0);
  return {
    code: 'counts',
    where: `keys: ${service}`,
    message: `What came out is not what the rules say: ${unexpected} keys do not belong there, and ${there} of ${wanted} that do not expire are there. Keys may have changed under the copy; it is made again with the next refresh.`,
    paste: null,
  };
}

function unreadFinding({ service }: { service: string }, { unread }: Seen): Finding {
  return {
    code: 'not-readable',
    where: `keys: ${service}`,
    message: `${unread} keys are of a type that cannot be looked into. Name those that are meant: { allow: "catalog:*", type: [string, hash] }.`,
    paste: null,
  };
}

function addedUp(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const one of all)
    for (const [kind, count] of Object.entries(one)) sum[kind] = (sum[kind] ?? 0) + count;
  return sum;
}
