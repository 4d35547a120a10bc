/** `30m`, `12h`, `14d`, `2w` → seconds; undefined when it says no length of time, or one above a year. */
export function parseDuration(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,6})(s|m|h|d|w)$/.exec(text) ?? [];
  const seconds = Number(digits) * (SECONDS[unit] ?? 0);
  return digits !== '' && seconds > 0 && seconds <= DURATION_MAX_SECONDS ? seconds : undefined;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
const DURATION_MAX_SECONDS = 366 * 86_400;

/** `90` → `90 s`, `1800` → `30 min`, `7200` → `2 h`: the largest unit that says it exactly. */
export function spellDuration(seconds: number): string {
  for (const [size, one, many] of UNITS) {
    const count = seconds / size;
    if (seconds >= size && Number.isInteger(count)) return `${count} ${count === 1 ? one : many}`;
  }
  return `${Math.round(seconds)} s`;
}

const UNITS: readonly (readonly [number, string, string])[] = [
  [86_400, 'day', 'days'],
  [3_600, 'h', 'h'],
  [60, 'min', 'min'],
];
