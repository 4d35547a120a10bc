import { expect, test } from 'vitest';
import { nextRefresh, parseRefreshSchedule, type RefreshSchedule } from './refresh-schedule.ts';

const from = new Date('2026-02-27T22:10:00Z');

function next(written: string): string {
  const schedule = parseRefreshSchedule(written) as RefreshSchedule;
  expect(schedule).toMatchObject({ written });
  return nextRefresh(schedule, from).toISOString();
}

test('a duration counts from the last time, a cron expression names times in UTC', () => {
  expect(next('6h')).toBe('2026-02-28T04:10:00.000Z');
  expect(next('15m')).toBe('2026-02-27T22:25:00.000Z');
  expect(next('1w')).toBe('2026-03-06T22:10:00.000Z');
  expect(next('0 3 * * *')).toBe('2026-02-28T03:00:00.000Z');
  expect(next('10 22 * * MON-FRI')).toBe('2026-03-02T22:10:00.000Z');
});

test.each([
  ['5m', 'is less than 15 minutes'],
  ['99999w', 'is more than a year'],
  ['daily', 'is neither a duration nor a cron expression of five fields'],
  ['0 0 3 * * *', 'is neither a duration nor a cron expression of five fields'],
  ['61 3 * * *', 'is no time that ever comes'],
  ['0 0 30 2 *', 'is no time that ever comes'],
  ['*/5 * * * *', 'comes more often than every 15 minutes'],
])('%s %s', (written, why) => {
  expect(parseRefreshSchedule(written)).toBe(why);
});
