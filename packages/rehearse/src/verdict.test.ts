import type { Measurement, RehearsalCheck } from '@bough/domain/rehearsal';
import { describe, expect, test } from 'vitest';
import { judge } from './verdict.ts';

const pass: RehearsalCheck = { verdict: 'pass', note: '' };
const unknown: RehearsalCheck = { verdict: 'not measured', note: 'production runs elsewhere' };

function measured(over: Partial<Measurement> = {}): Measurement {
  return {
    ...{ durationMs: 10, statements: [], statementsLeftOut: 0, tables: [], readStallMs: 0, writeStallMs: 0 },
    ...{ noiseMs: 1, blindMs: 5, walBytes: 0, invalidIndexes: [], pending: true, blind: [] },
    schema: { added: [], removed: [], changed: [], leftOut: 0 },
    ...over,
  };
}

function judged(over: Partial<Parameters<typeof judge>[0]> = {}) {
  return judge({
    ...{ stallBudgetMs: 2_000, services: { db: measured() }, hook: pass, again: pass, previous: pass },
    ...over,
  });
}

describe('a rehearsal', () => {
  test('passes when everything was seen and was within bounds', () => {
    expect(judged()).toEqual({ verdict: 'pass', reasons: [] });
    expect(judged({ services: { db: measured({ readStallMs: 2_000 }) } }).verdict).toBe('pass');
  });

  test('fails by a stall, and says where and why', () => {
    const row = { readStallMs: 0, writeStallMs: 2_001 };
    const table = {
      ...row,
      table: 'orders',
      rows: 1,
      bytesBefore: 1,
      bytesAfter: 1,
      serverWaitMs: 1,
      probes: 1,
      touched: true,
    };
    const statement = {
      ...row,
      text: 'create index `x` on orders (a)',
      ...{ durationMs: 1, rewrites: [], lock: null, rows: null, walBytes: null },
    };
    const service = measured({ ...row, tables: [table], statements: [statement] });
    expect(judged({ services: { db: service } })).toEqual({
      verdict: 'fail',
      reasons: [
        "writes of orders would stop for 2.0 s because of `create index 'x' on orders (a)`; 2.0 s are allowed",
      ],
    });
  });

  test('fails by the hook, its second run, the previous release or an invalid index', () => {
    const fail: RehearsalCheck = { verdict: 'fail', note: 'it failed' };
    expect(judged({ hook: fail }).verdict).toBe('fail');
    expect(judged({ again: fail })).toEqual({ verdict: 'fail', reasons: ['it failed'] });
    expect(judged({ previous: fail }).verdict).toBe('fail');
    expect(judged({ services: { db: measured({ invalidIndexes: ['index x'] }) } }).verdict).toBe('fail');
  });

  test('never passes when an observer was blind or nothing was observed, and still fails on what was seen', () => {
    expect(judged({ services: {} }).verdict).toBe('not measured');
    const blind = measured({ blind: ['the log was cut'] });
    expect(judged({ services: { db: blind } })).toEqual({
      verdict: 'not measured',
      reasons: ['the log was cut'],
    });
    expect(judged({ services: { db: { ...blind, readStallMs: 9_999 } } }).verdict).toBe('fail');
  });

  test('that could not ask the previous release says so beside its verdict', () => {
    expect(judged({ previous: unknown }).verdict).toBe('pass');
  });
});
