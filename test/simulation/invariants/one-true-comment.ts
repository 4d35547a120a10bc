import { type Expectation, environmentOf, expectationOf } from '../expectation.ts';
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
        const expected = await expectationOf(pull, watched);
        const wrong = compareComment(pull, row, expected, watched);
        if (wrong !== undefined) return `the comment on ${row.subject} ${wrong}`;
      }
      // Where there is no room for anybody they turn for as long as that is so.
      return watched.size.memoryFor === 0 ? undefined : turning(watched.forge);
    },
  };
}

function compareComment(
  pull: SimPull,
  row: RestEnvironment,
  expected: Expectation,
  { forge, commits }: Watched,
): string | undefined {
  const [comment] = ourComments(forge, pull.number);
  // Nothing was ever said where it was gone again before anybody spoke; and a webhook that is lost was never heard.
  const isNone = row.removedAt !== null || row.heldReason !== null;
  const isUnwanted = expected.kind === 'unwanted' || (expected.kind === 'either' && isNone);
  const mayMiss = expected.kind === 'absent' || isUnwanted || forge.bereft.has(pull.number);
  if (comment === undefined) return mayMiss ? undefined : 'is missing';
  const headline = comment.body.split('\n').find((line) => line.startsWith('### ')) ?? '';
  // Held in silence, it leaves standing what was said of the preview before.
  if (isUnwanted && headline.includes('is removed')) return undefined;
  const wanted = isUnwanted ? 'is held' : wordsOf(expected, row, commits);
  if (!headline.includes(wanted)) return `says "${headline}" instead of "${wanted}"`;
  if (row.releaseCommit !== null && !comment.body.includes(row.releaseCommit.slice(0, 7)))
    return `does not name ${row.releaseCommit.slice(0, 7)}, which serves`;
  return undefined;
}

function wordsOf(expected: Expectation, row: RestEnvironment, commits: Watched['commits']): string {
  if (expected.kind === 'absent') return 'is removed';
  if (expected.kind === 'held' || expected.kind === 'unwanted') return 'is held';
  if (row.desiredState === 'asleep') return row.failureCode === null ? 'is asleep' : 'failed';
  if (row.waitingReason !== null) return 'is queued';
  return FAILURES[commits.find(expected.commit).content] === null ? 'is ready' : 'failed';
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
