import type { Review } from '@bough/domain/review';
import { code, codeBlock, prose } from './markdown.ts';

/** What an approval would let in, for the comment and for the check with the button. Pure. */
export function renderReview(review: Review): string {
  return [runs(review), diff(review)].filter((part) => part !== '').join('\n\n');
}

function runs({ runs: what, problem, network }: Review): string {
  if (what === null) return problem === null ? '' : `Of this commit: ${prose(seen(problem))}.`;
  const commands = what.commands.map(
    ({ of, when, command }) =>
      `${code(seen(of))} ${prose(when)}:\n\n${codeBlock(command.split('\n').map(seen), 'sh')}`,
  );
  const list = (title: string, names: readonly string[]) =>
    names.length === 0 ? [] : [`${title}: ${names.map((name) => code(seen(name))).join(', ')}`];
  const builds =
    network === 'none'
      ? 'Builds reach no network'
      : 'Builds reach the public internet and no private address';
  return fold('What an approval of this commit would build and run', [
    `Everything below is run without secrets, without data and in a network of its own. ${builds}. What the commands call is in the files of the pull request.`,
    ...commands,
    ...list('Services, empty', what.services),
    ...list('Addresses', what.routes),
    ...(what.leftOut === 0 ? [] : [`…and ${what.leftOut} more: read the manifest.`]),
  ]);
}

function diff({ diff: lines, diffLeftOut }: Review): string {
  if (lines.length === 0) return '';
  return fold('How its manifest differs from that of the default branch', [
    codeBlock(lines.map(seen), 'diff'),
    ...(diffLeftOut === 0 ? [] : [`…and ${diffLeftOut} more lines: read the files.`]),
  ]);
}

function fold(summary: string, parts: readonly string[]): string {
  return [`<details><summary>${summary}</summary>`, ...parts, '</details>'].join('\n\n');
}

/** What makes text read otherwise than it runs (marks of direction, zero width) is written out: somebody decides by what they see. */
function seen(text: string): string {
  return text.replace(
    /[\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu,
    (sign) => `<U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}>`,
  );
}
