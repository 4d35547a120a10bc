import type { Report } from './benchmark.ts';
import { type Noise, noiseWords } from './machine.ts';
import { table } from './table.ts';

export interface Stage {
  /** The place of `during-<name>` at which it began; `capture` is what comes before the first. */
  readonly name: string;
  readonly ms: number;
}

const about: Readonly<Record<string, string>> = {
  capture: 'the files copied while production serves, and started in private',
  backup: 'of these, in backup mode',
  deciding: 'own passwords, catalogue read, every column decided',
  sampling: 'values sampled, references dropped, rows counted, canaries planted',
  masking: 'one rewrite a table, its indexes with it',
  verifying: 'every column read in search of canaries, samples and shapes; counts compared',
  scrubbing: 'other tables rewritten, statistics and catalogues emptied',
  joining: 'references made and checked anew, statistics taken',
  log: 'write-ahead log passed and removed',
  proving: 'every byte of the stopped server’s files searched',
  freezing: 'signed and written down',
};

export function reportSanitize(of: {
  rows: number;
  orders: number;
  byHandMs: number;
  stages: readonly Stage[];
  version: string;
  storage: string;
  noise: Noise;
}): Report {
  const total = of.stages.reduce((sum, { ms }) => sum + ms, 0);
  const maskedMs = of.stages
    .filter(({ name }) => name === 'masking' || name === 'joining')
    .reduce((sum, { ms }) => sum + ms, 0);
  const rate = (ms: number) => Math.round(((of.rows + of.orders) * 1000) / ms);
  const row = (name: string, ms: number) => [
    name,
    seconds(ms),
    rate(ms).toLocaleString('en'),
    (of.byHandMs / ms).toFixed(2),
  ];
  return {
    json: { ...of, maskedMs, totalMs: total, ratio: of.byHandMs / maskedMs },
    text: [
      `PostgreSQL ${of.version}, ${of.rows.toLocaleString('en')} users (7 columns masked) and ${of.orders.toLocaleString('en')} orders with two references, storage: ${of.storage}`,
      '',
      table(
        ['masked, joins checked', 'took', 'rows/s', 'of by hand'],
        [
          row('SQL by hand', of.byHandMs),
          row('Bough (masking, joining)', maskedMs),
          row('Bough, production → frozen golden', total),
        ],
      ),
      '',
      table(
        ['stage', 'took', 'share', ''],
        of.stages.map(({ name, ms }) => [
          name,
          seconds(ms),
          `${Math.round((100 * ms) / total)} %`,
          about[name] ?? '',
        ]),
      ),
      '',
      noiseWords(of.noise),
    ].join('\n'),
  };
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
