import { readFile } from 'node:fs/promises';
import {
  type KnownStrangers,
  type LabelledProcess,
  labelledProcesses,
  type ProcessRow,
  readProcessTable,
} from './process-table.ts';

/** What a process is it has long become by then; before, it may be about to `exec` what carries the marker. */
const strangerAgeSeconds = 10;
/** Of the clock that start times are in (USER_HZ), on every architecture that Node runs on. */
const ticksASecond = 100;

/** Everything of this installation that lives on this side of any sandbox, found by its marker. */
export type Scan = () => Promise<LabelledProcess[]>;

/**
 * Looking at every process there is costs milliseconds, so whoever asks while others look shares the next look, which
 * begins after it was asked for; and a process that is no longer young and does not carry the marker is not looked into
 * again.
 */
export function createScan(marker: string): Scan {
  let strangers: KnownStrangers = new Set();
  let running: Promise<LabelledProcess[]> | undefined;
  let next: Promise<LabelledProcess[]> | undefined;

  async function look(): Promise<LabelledProcess[]> {
    const [table, oldest] = [await readProcessTable(), await startedBefore()];
    const rows = await labelledProcesses(table, marker, strangers);
    strangers = new Set(
      table.filter((row) => startOf(row) < oldest && strangers.has(row.identity)).map((row) => row.identity),
    );
    return rows;
  }

  function begin(): Promise<LabelledProcess[]> {
    const begun = look().finally(() => {
      if (running === begun) running = undefined;
    });
    running = begun;
    return begun;
  }

  return () => {
    if (running === undefined) return begin();
    next ??= running
      .catch(() => {})
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  };
}

async function startedBefore(): Promise<number> {
  const [seconds = '0'] = (await readFile('/proc/uptime', 'utf8')).split(' ');
  return (Number(seconds) - strangerAgeSeconds) * ticksASecond;
}

function startOf(row: ProcessRow): number {
  return Number(row.identity.split(':')[1]);
}
