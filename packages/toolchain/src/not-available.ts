import { BoughError } from '@bough/domain/bough-error';
import { compareVersions, versionFits, type Want } from './want.ts';

/** As many exact versions as a person wants to read in one sentence. */
const longestList = 6;

/** A version that cannot be had: the error lists those that can, as the user would write them. */
export function notAvailable(want: Want, offered: readonly string[], cause?: unknown): BoughError {
  const available = choices(want, [...offered].sort(compareVersions));
  const newest = available.at(-1);
  return new BoughError({
    code: 'toolchain-not-available',
    message: `${describeWant(want)} cannot be had here; available: ${available.join(', ') || 'none'}.`,
    hint:
      newest === undefined
        ? `Install ${want.name} on this machine.`
        : `Ask for one of those in the manifest, as in ${want.name}:${newest}.`,
    cause,
  });
}

/** The majors, or, when the major is there and only the rest does not fit, the newest versions in it. */
function choices(want: Want, offered: readonly string[]): string[] {
  const major = want.version?.split('.')[0];
  const sameMajor = offered.filter((version) => versionFits(version, major));
  if (major !== undefined && sameMajor.length > 0) return sameMajor.slice(-longestList);
  return [...new Set(offered.flatMap((version) => version.split('.')[0] ?? []))];
}

function describeWant(want: Want): string {
  const isRemembered = want.version !== undefined && !want.text.endsWith(`:${want.version}`);
  return isRemembered ? `${want.text} (${want.version} on this installation)` : want.text;
}
