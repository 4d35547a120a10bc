import { parseDuration } from '@bough/domain/duration';
import { described, isEmpty, type Located } from './located.ts';
import type { Report } from './report.ts';
import { openSection, textOf } from './section.ts';
import { meant } from './suggest.ts';

/** `previews: forks:`: what becomes of pull requests from other repositories. */
export interface ForksPolicy {
  /** `hold`: they wait for an approval of each commit. `decline`: none of them ever runs. */
  readonly mode: 'hold' | 'decline';
  /** For how long an approval may start something new. */
  readonly approvalSeconds: number;
  /** What their builds reach: the public internet through a proxy, or nothing. */
  readonly network: 'public' | 'none';
}

/** What counts where nothing is written. */
export const DEFAULT_FORKS: ForksPolicy = { mode: 'hold', approvalSeconds: 3 * 86_400, network: 'public' };

const TITLE = 'previews: forks';

export function readForks(report: Report, node: Located | undefined): ForksPolicy {
  if (node === undefined || isEmpty(node)) return DEFAULT_FORKS;
  const acted = ['mode', 'approval_expires', 'network'];
  const forks = openSection(report, node, { title: TITLE, acted, fallback: node.place });
  const word = <Word extends string>(key: string, words: readonly Word[], absent: Word, hint: string) => {
    const value = forks.get(key);
    const text = textOf(report, value, `${TITLE}: ${key}`);
    const known = words.find((candidate) => candidate === text);
    if (value !== undefined && text !== null && known === undefined)
      report.problem(value.place, `${TITLE}: ${key} cannot be "${text}".`, `${meant(text, words)} ${hint}`);
    return known ?? absent;
  };
  return {
    mode: word(
      'mode',
      ['hold', 'decline'],
      DEFAULT_FORKS.mode,
      '"hold" waits for an approval of each commit, "decline" runs none of them.',
    ),
    approvalSeconds: approvalOf(report, forks.get('approval_expires')),
    network: word(
      'network',
      ['public', 'none'],
      DEFAULT_FORKS.network,
      '"public" lets their builds reach the public internet and nothing else, "none" nothing at all.',
    ),
  };
}

function approvalOf(report: Report, node: Located | undefined): number {
  if (node === undefined || isEmpty(node)) return DEFAULT_FORKS.approvalSeconds;
  const seconds = node.kind === 'scalar' ? parseDuration(node.source) : undefined;
  if (seconds !== undefined) return seconds;
  report.problem(
    node.place,
    `${TITLE}: approval_expires must be a length of time, not ${node.kind === 'scalar' ? `"${node.source}"` : described(node)}.`,
    'Write a number and a unit, up to a year: 12h, 3d.',
  );
  return DEFAULT_FORKS.approvalSeconds;
}
