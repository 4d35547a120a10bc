import type { ColumnRule, TextRule } from '@bough/manifest/sanitize-policy';
import type { ColumnPlan } from '../decide.ts';
import { mac, maskText } from './mask-text.ts';
import { permute } from './permute.ts';
import { literal } from './quote.ts';

/** A value of a row, as the server sent it, to SQL that stands for its masked self. */
export type ValueMask = (value: Buffer | null) => string;

/** What of the whole copy a mask must know: the key, and how many numbers a permutation is over, by its domain. */
export interface MaskContext {
  readonly key: Buffer;
  readonly sizes: ReadonlyMap<string, bigint>;
}

/** The expression to read a column by, which is where rules in SQL do their work. */
export function sourceExpression({ column, rule }: ColumnPlan, name: string): string {
  if (rule.rule === 'sql') return `(${rule.expression})`;
  // The text of a float has six digits of its eight.
  return column.type.startsWith('float') ? `cast(${name} as double)` : name;
}

export function valueMask(plan: ColumnPlan, context: MaskContext): ValueMask {
  const write = writerOf(plan);
  const { rule } = plan;
  if (rule.rule === 'keep' || rule.rule === 'sql') return (value) => (value === null ? 'null' : write(value));
  if (rule.rule === 'null') return () => 'null';
  if (rule.rule === 'constant') {
    const constant = write(Buffer.from(rule.value));
    return () => constant;
  }
  if (rule.rule === 'hstore' || rule.rule === 'row') throw new Error(`${rule.rule} is of PostgreSQL`);
  const masked = maskOf(plan, rule, context);
  return (value) => (value === null ? 'null' : write(masked(value)));
}

type Masking = Exclude<ColumnRule, { rule: 'keep' | 'null' | 'constant' | 'sql' | 'hstore' | 'row' }>;

function maskOf(plan: ColumnPlan, rule: Masking, context: MaskContext): (value: Buffer) => Buffer {
  const { column, domain } = plan;
  const text = (mask: (value: string) => string) => (value: Buffer) =>
    Buffer.from(mask(value.toString('utf8')));
  switch (rule.rule) {
    case 'date-shift':
      return text((value) => shiftDate(context.key, domain, value, rule.days));
    case 'permuted-id': {
      const size = context.sizes.get(domain);
      if (size === undefined) throw new Error(`no size for ${domain}`);
      return text((value) => String(permute(context.key, domain, BigInt(value), size)));
    }
    case 'json':
      return text((value) =>
        maskJson({ key: context.key, paths: rule.paths, keepsRest: rule.keepRest !== null }, value),
      );
    default: {
      if (column.typeClass === 'bytes')
        return (value) => fitted(mac(context.key, domain, value.toString('hex')), column.type);
      const mask = {
        rule: column.typeClass === 'uuid' ? ('uuid' as const) : rule.rule,
        ...{ domain, key: context.key, unique: column.unique, maxLength: column.maxLength },
      };
      const same = comparison(column.collation);
      return text((value) => maskText(mask, value, same(value)));
    }
  }
}

/** `binary(20)` takes twenty bytes and no more. */
function fitted(digest: Buffer, type: string): Buffer {
  const length = /^(?:var)?binary\((\d+)\)/.exec(type)?.[1];
  return length === undefined ? digest : digest.subarray(0, Number(length));
}

/** As the column's collation compares: joins are made by it, so what is equal there must become equal. */
function comparison(collation: string | null): (value: string) => string {
  if (collation === null) return (value) => value;
  const padded = (value: string) => (collation.includes('nopad') ? value : value.replace(/ +$/, ''));
  if (!collation.endsWith('_ci')) return padded;
  return (value) => padded(value).normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}

/** Numbers and bits as they are written, moments quoted, text and bytes by their bytes. */
function writerOf({ column }: ColumnPlan): (value: Buffer) => string {
  const base = /^[a-z]+/.exec(column.type)?.[0] ?? '';
  if (base === 'bit' || column.typeClass === 'bytes' || column.typeClass === 'other') {
    return (value) => (value.length === 0 ? "''" : `0x${value.toString('hex')}`);
  }
  if (column.typeClass === 'number' || column.typeClass === 'boolean') return numeric;
  return literal;
}

function numeric(value: Buffer): string {
  const text = value.toString('latin1');
  if (!/^[-+0-9.eE]+$/.test(text)) throw new Error('a number that is none');
  return text;
}

const millisecondsPerDay = 86_400_000;

/** Days to one side or the other, the same for the same value; zero dates and what is out of the calendar stay. */
function shiftDate(key: Buffer, domain: string, value: string, days: number): string {
  const date = value.slice(0, 10);
  const at = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(at)) return value;
  const sign = (mac(key, `${domain} sign`, value)[0] ?? 0) % 2 === 0 ? 1 : -1;
  const by = 1 + (Number.parseInt(mac(key, domain, value).toString('hex').slice(0, 7), 16) % days);
  return `${new Date(at + sign * by * millisecondsPerDay).toISOString().slice(0, 10)}${value.slice(10)}`;
}

interface JsonMask {
  readonly key: Buffer;
  readonly paths: Readonly<Record<string, TextRule | 'keep' | 'null'>>;
  readonly keepsRest: boolean;
}

/** A number that JavaScript would round, such as a long id, goes through as a string with a mark and comes out as it was. */
const longNumber = '\u0001number:';

function maskJson(mask: JsonMask, text: string): string {
  const guarded = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    token.startsWith('"') || token.length < 16 ? token : JSON.stringify(`${longNumber}${token}`),
  );
  const masked = JSON.stringify(maskLeaf(mask, JSON.parse(guarded) as unknown, ''));
  return masked.replace(/"\\u0001number:(-?\d[\d.eE+-]*)"/g, '$1');
}

/** A key may be a value itself (an address as a key): what no path names goes with its key. */
function leadsOn(mask: JsonMask, path: string): boolean {
  return Object.keys(mask.paths).some((named) => named === path || named.startsWith(`${path}.`));
}

function maskLeaf(mask: JsonMask, value: unknown, path: string): unknown {
  const rule = Object.hasOwn(mask.paths, path) ? mask.paths[path] : undefined;
  const below = (name: string) => (path === '' ? name : `${path}.${name}`);
  if (rule === 'keep') return value;
  if (rule === 'null' || value === null) return null;
  if (Array.isArray(value)) return value.map((item) => maskLeaf(mask, item, below('*')));
  if (typeof value === 'object') {
    const kept = Object.entries(value).filter(([name]) => mask.keepsRest || leadsOn(mask, below(name)));
    return Object.fromEntries(kept.map(([name, item]) => [name, maskLeaf(mask, item, below(name))]));
  }
  if (rule === undefined) return mask.keepsRest ? value : null;
  return maskText(
    { rule, domain: rule, key: mask.key, unique: false, maxLength: null },
    String(value).replace(longNumber, ''),
  );
}
