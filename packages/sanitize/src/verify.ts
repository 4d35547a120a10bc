import type { ColumnRule, Detector } from '@bough/manifest/sanitize-policy';
import type { Client } from 'pg';
import type { MaskingPlan } from './decide.ts';
import { candidates, conditions, isCardNumber, isIban } from './detectors.ts';
import type { Finding } from './finding.ts';
import { displayTable } from './names.ts';
import { id, literal, qualified } from './quote.ts';
import { addDetected, type Detected, detectedOnce } from './report.ts';
import { shareOut } from './share-out.ts';

export interface Verification {
  readonly findings: readonly Finding[];
  readonly columns: number;
  readonly rows: number;
  readonly detected: Detected;
}

/** Above this a table is read in part: about this many rows of it. */
const rowsRead = 1_000_000;
const columnsAtOnce = 60;
const sharedRows = 50_000;
const candidatesMax = 2_000;

/**
 * Reads every column of whatever has rows, as text, and looks for what must not be there. It knows of no types and asks
 * the catalogue in its own way, so that what the masker overlooks is not overlooked twice.
 */
export async function verifyDatabase(
  clients: readonly [Client, ...Client[]],
  of: { plan: MaskingPlan; mark: string; samples: readonly string[] },
): Promise<Verification> {
  for (const client of clients)
    await client.query(`create or replace function pg_temp.bough_seen(t text) returns text language plpgsql immutable strict parallel safe as $$
    begin
      return case when t ~ '^\\\\x([0-9a-f]{2})+$' then encode(decode(substr(t, 3), 'hex'), 'escape') else t end;
    end $$`);
  const { rows: relations } = await clients[0].query<Relation>(relationsQuery);
  const allowed = allowances(of.plan);
  const parts = relations.flatMap((relation) => partsOf(relation, clients.length));
  const read = await shareOut(clients, parts, (client, { relation, names }) => {
    const shown = { ...relation, display: displayTable(of.plan.database, relation) };
    return readColumns(client, shown, names, { ...of, allowed });
  });
  return {
    findings: read.flatMap(({ findings }) => findings),
    columns: relations.reduce((sum, { columns }) => sum + columns.length, 0),
    rows: parts.reduce((sum, { isFirst }, index) => sum + (isFirst ? (read[index]?.rows ?? 0) : 0), 0),
    detected: addDetected(read.flatMap(({ detected }) => detected)),
  };
}

interface Part {
  readonly relation: Relation;
  readonly names: readonly string[];
  readonly isFirst: boolean;
}

/** Of a large table each session reads some of the columns: what takes the time is what is looked for in each. */
function partsOf(relation: Relation, sessions: number): Part[] {
  const { columns, estimate } = relation;
  const share = estimate < sharedRows ? columnsAtOnce : Math.ceil(columns.length / (2 * sessions));
  const size = Math.max(1, Math.min(columnsAtOnce, share));
  return Array.from({ length: Math.ceil(columns.length / size) }, (_, index) => ({
    relation,
    names: columns.slice(index * size, (index + 1) * size),
    isFirst: index === 0,
  }));
}

interface Relation {
  readonly schema: string;
  readonly name: string;
  readonly estimate: number;
  readonly columns: readonly string[];
}

/** Whatever has a file of its own and is not PostgreSQL's: tables, partitions, materialized views. */
const relationsQuery = `
  select c.oid::regclass::text, n.nspname as schema, c.relname as name, greatest(c.reltuples, 0)::float8 as estimate,
    (select coalesce(json_agg(a.attname order by a.attnum), '[]') from pg_attribute a
     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
  from pg_class c, pg_namespace n
  where n.oid = c.relnamespace and pg_relation_filenode(c.oid) is not null and c.relkind not in ('i', 'I', 'S', 't')
    and c.relnamespace not in (select oid from pg_namespace where nspname in ('pg_catalog', 'information_schema', 'pg_toast'))
    and not pg_is_other_temp_schema(c.relnamespace) and c.relnamespace <> pg_my_temp_schema()
    and (c.relkind <> 'm' or c.relispopulated)
  order by c.oid`;

const kinds: readonly Detector[] = ['email', 'phone', 'key', 'card', 'iban'];

async function readColumns(
  client: Client,
  relation: Relation & { display: string },
  names: readonly string[],
  of: { mark: string; samples: readonly string[]; allowed: Allowances },
): Promise<{ findings: Finding[]; rows: number; detected: Detected[] }> {
  const part =
    relation.estimate > rowsRead * 2
      ? ` tablesample system (${Math.max(0.01, (100 * rowsRead) / relation.estimate).toFixed(2)})`
      : '';
  const source = `${qualified(relation)}${part}`;
  const aggregates = names.flatMap((_, index) => {
    const v = `v${index}`;
    return [
      `count(*) filter (where ${v} like ${literal(`%${of.mark}%`)})::int as canary${index}`,
      `count(*) filter (where ${v} = any ($1::text[]))::int as sample${index}`,
      ...kinds.map((kind) => `count(*) filter (where ${conditions[kind](v)})::int as ${kind}${index}`),
    ];
  });
  const texts = names.map((name, index) => `${seen(name)} as v${index}`);
  const { rows } = await client.query<Record<string, number>>(
    `select count(*)::int as rows${aggregates.map((sql) => `, ${sql}`).join('')}
     from (select ${texts.join(', ') || '1'} from ${source} offset 0) s`,
    [of.samples],
  );
  const counted = rows[0] ?? {};
  const findings: Finding[] = [];
  const detected: Detected[] = [];
  for (const [index, name] of names.entries()) {
    const where = `${relation.display}.${name}`;
    const raw = (code: Finding['code'], message: string) =>
      findings.push({ code, where, message, paste: null });
    if ((counted[`canary${index}`] ?? 0) > 0) raw('canary', 'A planted canary survived masking.');
    if ((counted[`sample${index}`] ?? 0) > 0)
      raw(
        'raw-value',
        `${counted[`sample${index}`]} values of masked columns stand here as they are in production.`,
      );
    for (const kind of kinds) {
      const count = counted[`${kind}${index}`] ?? 0;
      if (count === 0) continue;
      if (of.allowed(relation, name, kind)) {
        detected.push(detectedOnce(kind, count));
        continue;
      }
      if (kind !== 'card' && kind !== 'iban')
        raw('raw-value', `${count} rows hold what looks like ${words[kind]}.`);
      else if (await confirm(client, source, name, kind))
        raw('raw-value', `Rows hold what is ${words[kind]} by its check digits.`);
    }
  }
  return { findings, rows: counted.rows ?? 0, detected };
}

/** A column as text; bytes as the text that they may be. */
function seen(name: string): string {
  const text = `${id(name)}::text`;
  return `(case when ${text} like '\\\\x%' then pg_temp.bough_seen(${text}) else ${text} end) collate "C"`;
}

const words: Readonly<Record<Detector, string>> = {
  email: 'an e-mail address outside the reserved domains',
  phone: 'a phone number',
  key: 'a key or token of a known service',
  card: 'a card number',
  iban: 'a bank account (IBAN)',
};

/** Check digits fit one in ten or a hundred by chance: among many candidates, half must fit. */
async function confirm(
  client: Client,
  source: string,
  name: string,
  kind: 'card' | 'iban',
): Promise<boolean> {
  const { rows } = await client.query<{ found: string }>(
    `select distinct found from (select (regexp_match(v, ${literal(`(${candidates[kind]})`)}))[1] as found
       from (select ${seen(name)} as v from ${source}) s where ${conditions[kind]('v')}) f
     limit ${candidatesMax}`,
  );
  const fit = rows.filter(({ found }) => (kind === 'card' ? isCardNumber(found) : isIban(found))).length;
  return rows.length < 20 ? fit > 0 : fit * 2 >= rows.length;
}

type Allowances = (relation: Relation, column: string, kind: Detector) => boolean;

/** What the policy lets stand in a column, and what a masked one shows by design. A view's column has its table's leave. */
function allowances(plan: MaskingPlan): Allowances {
  const exact = new Map<string, ReadonlySet<Detector>>();
  const byColumn = new Map<string, Set<Detector>>();
  for (const { table, columns } of plan.tables) {
    for (const { column, rule } of columns) {
      const leave = new Set(leaveOf(rule));
      for (const leaf of [table, ...table.leaves]) exact.set(`${qualified(leaf)}.${column.name}`, leave);
      byColumn.set(column.name, new Set([...(byColumn.get(column.name) ?? []), ...leave]));
    }
  }
  return (relation, column, kind) => {
    const own = exact.get(`${qualified(relation)}.${column}`);
    return (own ?? byColumn.get(column))?.has(kind) === true;
  };
}

/** Where a value has parts, one that is masked shows a kind only if no other may hold it as it is in production. */
function leaveOf(rule: ColumnRule): readonly Detector[] {
  switch (rule.rule) {
    case 'keep':
      return rule.allow;
    case 'hstore':
      return hidesRaw(rule) ? Object.values(rule.keys).flatMap((leaf) => shownBy[leaf] ?? []) : [];
    case 'row':
      return Object.values(rule.attributes)
        .flatMap(leaveOf)
        .filter((kind) => hidesRaw(rule, kind));
    default:
      return shownBy[rule.rule] ?? [];
  }
}

function hidesRaw(rule: ColumnRule, kind?: Detector): boolean {
  switch (rule.rule) {
    case 'keep':
      return kind !== undefined && rule.allow.includes(kind);
    case 'json':
      return rule.keepRest === null && !Object.values(rule.paths).includes('keep');
    case 'hstore':
      return rule.keepRest === null && !Object.values(rule.keys).includes('keep');
    case 'row':
      return rule.keepRest === null && Object.values(rule.attributes).every((own) => hidesRaw(own, kind));
    default:
      return true;
  }
}

/** A masked phone number still looks like one. */
export const shownBy: Readonly<Record<string, readonly Detector[]>> = {
  phone: ['phone', 'card'],
  postcode: ['card'],
  card: ['card'],
  iban: ['iban', 'card'],
};
