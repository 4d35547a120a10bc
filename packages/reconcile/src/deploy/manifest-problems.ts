import { BoughError } from '@bough/domain/bough-error';
import type { Problem } from '@bough/manifest/manifest';

/** Problems of a manifest, each at its line: shown in the comment and as annotations of the check. */
export class ManifestProblems extends BoughError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], code = 'manifest-invalid') {
    const [first] = problems;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    super({
      code,
      message:
        first === undefined
          ? 'The manifest has a problem.'
          : `${first.file}:${first.line}:${first.column}: ${first.message}${more}`,
      hint: first?.hint,
      tail: problems
        .slice(0, 20)
        .map(
          (problem) =>
            `${problem.file}:${problem.line}:${problem.column}: ${problem.message} ${problem.hint}`,
        ),
    });
    this.problems = problems;
  }
}
