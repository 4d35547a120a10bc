import { parseArgs } from 'node:util';
import type { Shutdown } from '@bough/boot/signals';
import { BoughError } from '@bough/domain/bough-error';

/** What a benchmark starts it registers with `shutdown`, which removes it however the measurement ends. */
export interface Surroundings {
  readonly shutdown: Shutdown;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onProgress: (text: string) => void;
}

export interface Report {
  readonly text: string;
  readonly json: unknown;
  /** Where something is promised: whether it held. The command ends with 1 when it did not. */
  readonly isKept?: boolean;
}

export interface Benchmark {
  /** What it compares, in one line. */
  readonly about: string;
  /** Its options that are whole numbers, with their defaults. */
  readonly numbers: Readonly<Record<string, number>>;
  /** Those of its options that are several numbers, parted by commas; fractions too. */
  readonly lists?: Lists;
  run(numbers: Readonly<Record<string, number>>, surroundings: Surroundings, lists: Lists): Promise<Report>;
}

export type Lists = Readonly<Record<string, readonly number[]>>;

interface Call {
  readonly benchmark: Benchmark;
  readonly lists: Lists;
  readonly numbers: Readonly<Record<string, number>>;
  readonly isJson: boolean;
}

/** `npm run bench -- <name> [--json] [--<number> N]`. */
export function parseCall(benchmarks: Readonly<Record<string, Benchmark>>, args: readonly string[]): Call {
  const [name = '', ...rest] = args;
  const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
  if (benchmark === undefined) throw usage(benchmarks, name === '' ? 'Which one?' : `There is no "${name}".`);
  const options = Object.fromEntries(
    [...Object.keys(benchmark.numbers), ...Object.keys(benchmark.lists ?? {})].map((option) => [
      option,
      { type: 'string' as const },
    ]),
  );
  const parsed = parseArgs({ args: rest, options: { ...options, json: { type: 'boolean' } } });
  const values: Readonly<Record<string, string | boolean | undefined>> = parsed.values;
  const numbers: Record<string, number> = { ...benchmark.numbers };
  for (const option of Object.keys(benchmark.numbers)) {
    const given = values[option];
    if (given === undefined) continue;
    const number = Number(given);
    if (!Number.isInteger(number) || number < 1)
      throw usage(benchmarks, `--${option} takes a whole number from 1 on, not "${given}".`);
    numbers[option] = number;
  }
  const lists = readLists(benchmarks, benchmark, values);
  return { benchmark, numbers, lists, isJson: values.json === true };
}

function readLists(
  benchmarks: Readonly<Record<string, Benchmark>>,
  benchmark: Benchmark,
  values: Readonly<Record<string, string | boolean | undefined>>,
): Lists {
  const lists = Object.entries(benchmark.lists ?? {}).map(([option, standard]) => {
    const given = values[option];
    if (given === undefined) return [option, standard] as const;
    const numbers = String(given).split(',').map(Number);
    if (numbers.some((number) => !(number > 0)))
      throw usage(benchmarks, `--${option} takes numbers parted by commas, as 0.1,1, not "${given}".`);
    return [option, numbers] as const;
  });
  return Object.fromEntries(lists);
}

function usage(benchmarks: Readonly<Record<string, Benchmark>>, message: string): BoughError {
  const lines = Object.entries(benchmarks).map(([name, { about, numbers, lists = {} }]) => {
    const options = Object.entries({ ...lists, ...numbers }).map(
      ([option, value]) => `[--${option} ${value}]`,
    );
    return `  npm run bench -- ${name} ${options.join(' ')} [--json]   ${about}`;
  });
  return new BoughError({ code: 'usage', message, hint: `\n${lines.join('\n')}` });
}
