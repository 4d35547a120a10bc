import type { RefreshSchedule } from '@bough/manifest/refresh-schedule';
import type { DataRefresh } from '@bough/store/data-refreshes';
import { expect, test } from 'vitest';
import { refreshDue } from './refresh-due.ts';

const at = (time: string) => new Date(`2026-03-01T${time}:00Z`);
const sixHours: RefreshSchedule = { kind: 'every', seconds: 21_600, written: '6h' };

function decide(
  refresh: Partial<DataRefresh>,
  {
    schedule = sixHours,
    retryAt = null,
    schemaDigest = null,
  }: { schedule?: RefreshSchedule | null; retryAt?: Date | null; schemaDigest?: string | null } = {},
) {
  const row: DataRefresh = {
    ...{ projectId: '1', askedAt: null, askedBy: null, startedAt: null, progress: null },
    ...{ attemptedAt: at('06:00'), policyDigest: 'a', schemaDigest: 's', note: null, dueAt: null },
    ...refresh,
  };
  return refreshDue(row, { policyDigest: 'a', schemaDigest, schedule, retryAt, now: at('11:00') });
}

test('without a schedule nothing is due of itself', () => {
  expect(decide({}, { schedule: null })).toEqual({ kind: 'later', at: null });
});

test.each<[string, Partial<DataRefresh>]>([
  ['ada asked for it', { askedAt: at('06:01'), askedBy: 'ada' }],
  ['there was none yet', { attemptedAt: null }],
  ['the data policy changed', { policyDigest: 'b' }],
  ['the attempt before was cut short', { startedAt: at('10:00') }],
  ['it is time (6h)', { attemptedAt: at('04:59') }],
])('%s', (why, refresh) => {
  expect(decide(refresh)).toEqual({ kind: 'due', why });
});

test('what was asked before the last attempt is answered, and a time that is to come waits', () => {
  expect(decide({ askedAt: at('05:00') })).toEqual({ kind: 'later', at: at('12:00') });
});

test('a capture that failed waits for its time, unless the policy is another one now', () => {
  const retryAt = at('11:30');
  expect(decide({ attemptedAt: at('01:00') }, { retryAt })).toEqual({ kind: 'later', at: retryAt });
  expect(decide({ startedAt: at('10:00') }, { retryAt })).toEqual({ kind: 'later', at: retryAt });
  expect(decide({ policyDigest: 'b' }, { retryAt })).toMatchObject({ kind: 'due' });
  expect(decide({}, { retryAt: at('10:59') })).toEqual({ kind: 'due', why: 'the last capture failed' });
});

test('another schema than before the last attempt makes it outdated; one that was not seen says nothing', () => {
  const later = { kind: 'later', at: at('12:00') };
  const due = { kind: 'due', why: 'the schema of production changed' };
  expect(decide({}, { schemaDigest: 't' })).toEqual(due);
  expect(decide({}, { schemaDigest: 't', schedule: null })).toEqual(due);
  expect(decide({}, { schemaDigest: 's' })).toEqual(later);
  expect(decide({}, { schemaDigest: null })).toEqual(later);
  expect(decide({ schemaDigest: null }, { schemaDigest: 't' })).toEqual(later);
});
