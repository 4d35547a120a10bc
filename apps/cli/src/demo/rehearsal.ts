import { setTimeout as delay } from 'node:timers/promises';
import { styleText } from 'node:util';
import { BoughError } from '@bough/domain/bough-error';
import type { RehearsedStatement } from '@bough/domain/rehearsal';
import { type EnvironmentDetail, RehearsalView } from '../verbs/views.ts';
import type { Narrator } from './narrator.ts';
import type { Stage } from './stage.ts';

const WAIT_MS = 60_000;
const LOOK_MS = 150;
const statementsShown = 6;
const textLength = 60;

/** Waits for the rehearsal of what a preview serves, and tells what it saw. */
export async function showRehearsal(
  stage: Stage,
  preview: EnvironmentDetail,
  narrator: Narrator,
): Promise<void> {
  const { report } = await narrator.during(
    'its migration, rehearsed on a fresh clone of production’s data',
    (update) => untilRehearsed(stage, preview, update),
  );
  if (report === null) return;
  const words = [report.verdict, ...report.reasons].join(': ');
  narrator.say(`  ${styleText(report.verdict === 'pass' ? 'green' : 'red', words)}`);
  const statements = Object.values(report.services).flatMap((service) => service.statements);
  for (const statement of statements.slice(0, statementsShown))
    narrator.say(styleText('dim', `    ${statementWords(statement)}`));
}

function statementWords({ text, durationMs, readStallMs, writeStallMs, lock }: RehearsedStatement): string {
  const stall = (ms: number | null) => (ms === null ? '?' : `${ms} ms`);
  return [
    text.slice(0, textLength).padEnd(textLength),
    `${String(durationMs).padStart(5)} ms`,
    `reads stop ${stall(readStallMs)}, writes ${stall(writeStallMs)}`,
    lock === null ? '' : `${lock.mode} on ${lock.table}`,
  ]
    .join('  ')
    .trimEnd();
}

async function untilRehearsed(
  stage: Stage,
  preview: EnvironmentDetail,
  update: (text: string) => void,
): Promise<RehearsalView> {
  const path = `/deployments/${preview.deployment?.id ?? ''}/rehearsal`;
  const deadline = Date.now() + WAIT_MS;
  while (Date.now() < deadline) {
    const view = RehearsalView.parse(await stage.api.get(path));
    if (view.state === 'done') return view;
    update(view.state);
    await delay(LOOK_MS);
  }
  throw new BoughError({
    code: 'demo-timeout',
    message: `The rehearsal of ${preview.slug} did not end in ${WAIT_MS / 1000} s.`,
    hint: 'Its log is in the API, below the deployment; please report it.',
  });
}
