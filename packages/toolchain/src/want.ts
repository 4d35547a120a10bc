import { BoughError } from '@bough/domain/bough-error';

/** What a manifest or Bough itself asks for: `nodejs:22`, `nodejs:22.23.3`, `postgresql:17`, `git`. */
export interface Want {
  /** The written form; also the key under which a first choice is remembered. */
  readonly text: string;
  readonly name: string;
  /** One to three numbers, or undefined where any version will do. */
  readonly version: string | undefined;
}

const wantPattern = /^([a-z][a-z0-9-]{0,40})(?::(\d{1,4}(?:\.\d{1,5}){0,2}))?$/;

export function parseWant(text: string): Want {
  const match = wantPattern.exec(text);
  if (!match?.[1]) {
    throw new BoughError({
      code: 'toolchain-malformed',
      message: `"${text.slice(0, 80)}" is not a toolchain.`,
      hint: 'Write a name and a version of numbers, as in nodejs:22 or postgresql:17. Packages of Nix cannot be had yet.',
    });
  }
  return { text, name: match[1], version: match[2] };
}

/** Whether an exact version is one of those that were asked for: 22.23.3 is a 22 and a 22.23, but not a 2. */
export function versionFits(exact: string, wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  const numbers = exact.split(/[.-]/);
  return wanted.split('.').every((number, index) => numbers[index] === number);
}

/** Orders exact versions as numbers, so that 22.9 comes before 22.10. A suffix such as `-beta.17` counts last. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((version) =>
    version.split(/[.-]/).map((part) => Number.parseInt(part, 10)),
  );
  for (let index = 0; index < 8; index += 1) {
    const difference = comparable(a?.[index]) - comparable(b?.[index]);
    if (difference !== 0) return difference;
  }
  return left < right ? -1 : left > right ? 1 : 0;
}

function comparable(part: number | undefined): number {
  return part === undefined || Number.isNaN(part) ? -1 : part;
}

export function newestFitting(versions: readonly string[], wanted: string | undefined): string | undefined {
  return versions
    .filter((version) => versionFits(version, wanted))
    .sort(compareVersions)
    .at(-1);
}
