import { environmentOf, expectationOf, lastingRequest } from '../expectation.ts';
import type { Invariant, RestEnvironment, Watched } from '../invariant.ts';
import { FAILURES } from '../world/commits.ts';
import { type ForgeWorld, ourComments, type SimPull } from '../world/forge-world.ts';

/** One comment of ours on a pull request, ever; in the end it says what is so, and no check or deployment still turns. */
export function createOneTrueComment(): Invariant {
  return {
    name: 'one true comment',
    look({ forge }) {
      for (const { number } of forge.pulls.values()) {
        const count = ourComments(forge, number).length;
        if (count > 1) return `pull/${number} has ${count} comments of ours`;
      }
      return undefined;
    },
    async atRest(rest, watched) {
      for (const pull of watched.forge.pulls.values()) {
        const row = environmentOf(rest.environments, `pull/${pull.number}`);
        if (row === undefined) continue;
        const lasting = await lastingRequest(watched, row.subject);
        const wrong = compareComment(pull, row, lasting, watched);
        if (wrong !== undefined) return `the comment on ${row.subject} ${wrong}`;
      }
      return turning(watched.forge);
    },
  };
}

function compareComment(
  pull: SimPull,
  row: RestEnvironment,
  lasting: string | null,
  { forge, commits }: Watched,
): string | undefined {
  const expected = expectationOf(pull, lasting);
  const [comment] = ourComments(forge, pull.number);
  // Nothing was ever said where it was gone again before anybody spoke; and a webhook that is lost was never heard.
  const mayMiss = expected.kind === 'absent' || forge.bereft.has(pull.number);
  if (comment === undefined) return mayMiss ? undefined : 'is missing';
  const headline = comment.body.split('\n').find((line) => line.startsWith('### ')) ?? '';
  const words = wordsFor(
    expected.kind === 'deployed' ? FAILURES[commits.find(expected.commit).content] : null,
  );
  const wanted = expected.kind === 'absent' ? 'is removed' : expected.kind === 'held' ? 'is held' : words;
  if (!headline.includes(wanted)) return `says "${headline}" instead of "${wanted}"`;
  if (row.releaseCommit !== null && !comment.body.includes(row.releaseCommit.slice(0, 7)))
    return `does not name ${row.releaseCommit.slice(0, 7)}, which serves`;
  return undefined;
}

function wordsFor(failure: string | null): string {
  return failure === null ? 'is ready' : 'failed';
}

function turning(forge: ForgeWorld): string | undefined {
  for (const { report } of forge.checks.values()) {
    if (report.state === 'queued' || report.state === 'in_progress')
      return `the check of ${report.commit.slice(0, 7)} is still ${report.state}`;
  }
  for (const { report, marker } of forge.deployments.values()) {
    if (report.state === 'queued' || report.state === 'in_progress')
      return `the forge's deployment ${marker} is still ${report.state}`;
  }
  return undefined;
}
