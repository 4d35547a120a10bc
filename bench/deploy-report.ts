import type { Report } from './benchmark.ts';
import type { BoughRun } from './deploy-bough.ts';
import type { HandRun } from './deploy-by-hand.ts';
import { type Noise, noiseWords } from './machine.ts';
import { type Spread, spreadOf } from './spread.ts';
import { ms, table } from './table.ts';

const BUILT_RATIO_MAX = 1.3;
const CACHED_MS_MAX = 3_000;

/** One pull request: its first deployment, a redeploy of it, and the script on the same commit. */
export interface DeployRuns {
  readonly built: BoughRun;
  readonly cached: BoughRun;
  readonly byHand: HandRun;
}

interface Timed {
  readonly readyMs: number;
  readonly parts: BoughRun['parts'];
}

export function reportDeploy(measured: {
  runs: readonly DeployRuns[];
  storage: string;
  noise: Noise;
}): Report {
  const { runs, storage, noise } = measured;
  const [built, cached] = [runs.map((run) => run.built), runs.map((run) => run.cached)];
  const byHand = runs.map((run) => run.byHand);
  const total = {
    built: spreadOf(built.map((run) => run.readyMs)),
    builtVisited: spreadOf(built.map((run) => run.visitedMs)),
    cached: spreadOf(cached.map((run) => run.readyMs)),
    cachedVisited: spreadOf(cached.map((run) => run.visitedMs)),
    byHand: spreadOf(byHand.map((run) => run.readyMs)),
  };
  const ratio = total.built.p50 / total.byHand.p50;
  const paired = spreadOf(runs.map((run) => run.built.readyMs / run.byHand.readyMs));
  const wereCached = cached.every((run) => !run.isBuilt) && built.every((run) => run.isBuilt);
  const aims = {
    builtRatio: { aim: BUILT_RATIO_MAX, is: ratio, met: ratio <= BUILT_RATIO_MAX },
    cachedMs: { aim: CACHED_MS_MAX, is: total.cached.p50, met: total.cached.p50 <= CACHED_MS_MAX },
  };
  const row = (name: string, spread: Spread) => [
    name,
    ms(spread.p50),
    ms(spread.p90),
    ms(spread.min),
    ms(spread.max),
  ];
  const text = [
    `Webhook → verified preview; ${runs.length} runs, storage ${storage}`,
    table(
      ['', 'p50', 'p90', 'min', 'max'],
      [
        row('Bough, built: webhook sent → ready', total.built),
        row('  … → our own visit answered', total.builtVisited),
        row('Bough, cached: redeploy asked → ready', total.cached),
        row('  … → our own visit answered', total.cachedVisited),
        row('by hand: script started → app answers', total.byHand),
      ],
    ),
    '',
    `Built / by hand: ${ratio.toFixed(2)} (aim ≤ ${BUILT_RATIO_MAX}: ${yesNo(aims.builtRatio.met)}); run by run p50 ${paired.p50.toFixed(2)}, p90 ${paired.p90.toFixed(2)}`,
    `Cached: ${ms(total.cached.p50)} (aim ≤ ${CACHED_MS_MAX} ms: ${yesNo(aims.cachedMs.met)})`,
    ...(wereCached ? [] : ['Beware: not every "built" was built, or not every "cached" was cached.']),
    '',
    'Where the time goes (p50 / p90 of each part)',
    partsTable(built, cached, byHand),
    '',
    `Beside that: ${workWords('built', built)}; ${workWords('cached', cached)}`,
    '',
    noiseWords(noise),
  ].join('\n');
  return { text, json: { benchmark: 'deploy', ...measured, total, ratio, paired, aims, wereCached } };
}

function partsTable(built: readonly Timed[], cached: readonly Timed[], byHand: readonly Timed[]): string {
  const names = [...new Set([...built, ...cached].flatMap((run) => run.parts.map((part) => part.name)))];
  const bough = names.map((name) => [name, cell(built, name), cell(cached, name)]);
  const handNames = [...new Set(byHand.flatMap((run) => run.parts.map((part) => part.name)))];
  return [
    table(['Bough', 'built', 'cached'], bough),
    '',
    table(
      ['by hand', ''],
      handNames.map((name) => [name, cell(byHand, name)]),
    ),
  ].join('\n');
}

function cell(runs: readonly Timed[], name: string): string {
  const samples = runs.flatMap((run) => run.parts.flatMap((part) => (part.name === name ? [part.ms] : [])));
  if (samples.length === 0) return '–';
  const { p50, p90 } = spreadOf(samples);
  return `${p50.toFixed(0)} / ${p90.toFixed(0)} ms`;
}

const yesNo = (met: boolean): string => (met ? 'met' : 'not met');

function workWords(name: string, runs: readonly BoughRun[]): string {
  const calls = spreadOf(runs.map((run) => run.forgeCalls)).p50;
  return `${name}, the forge was called ${calls} times and the worker process had ${ms(spreadOf(runs.map((run) => run.workerMs)).p50)} of a processor`;
}
