import { CronExpressionParser } from 'cron-parser';

/** When data that is there is replaced by newer data: every so often, or at times of the clock in UTC. */
export type RefreshSchedule =
  | { readonly kind: 'every'; readonly seconds: number; readonly written: string }
  | { readonly kind: 'cron'; readonly written: string };

/** Less would capture without end; who needs it fresher asks with `bough data refresh`. */
const refreshSecondsMin = 15 * 60;
const refreshSecondsMax = 366 * 86_400;
const units: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** `6h`, `1d`, or a cron expression of five fields; in words what is wrong otherwise. Pure. */
export function parseRefreshSchedule(written: string): RefreshSchedule | string {
  const [, count, unit] = /^(\d{1,5})([mhdw])$/.exec(written) ?? [];
  if (count !== undefined && unit !== undefined) {
    const seconds = Number(count) * (units[unit] ?? 0);
    if (seconds < refreshSecondsMin) return 'is less than 15 minutes';
    return seconds > refreshSecondsMax ? 'is more than a year' : { kind: 'every', seconds, written };
  }
  if (written.trim().split(/\s+/).length !== 5)
    return 'is neither a duration nor a cron expression of five fields';
  try {
    const times = CronExpressionParser.parse(written, { tz: 'UTC' });
    const [first, second] = [times.next().getTime(), times.next().getTime()];
    if (second - first < refreshSecondsMin * 1000) return 'comes more often than every 15 minutes';
    return { kind: 'cron', written };
  } catch {
    return 'is no time that ever comes';
  }
}

/** The first moment after `from` at which newer data is due. */
export function nextRefresh(schedule: RefreshSchedule, from: Date): Date {
  if (schedule.kind === 'every') return new Date(from.getTime() + schedule.seconds * 1000);
  return CronExpressionParser.parse(schedule.written, { tz: 'UTC', currentDate: from }).next().toDate();
}
