import type { DataPolicy, ReadResult } from '@bough/manifest/manifest';
import { DEFAULT_PREVIEWS, type PreviewPolicy } from '@bough/manifest/preview-policy';
import { missingIncludes, readManifest } from '@bough/manifest/read-manifest';
import type { Context } from './context.ts';

/** `previews:` and `data:` as the default branch had them at a recorded commit. */
export interface Policy {
  readonly commit: string;
  readonly previews: PreviewPolicy;
  readonly data: DataPolicy | null;
  /** Why the policy is not the one written there: no manifest, or one that does not read. */
  readonly note: string | null;
}

/** Directories whose files make up a manifest, or may be included by one. */
const MANIFEST_DIRECTORIES = ['.bough', '.upsun'];
const MANIFEST_BYTES_MAX = 1024 * 1024;
const INCLUDE_DEPTH_MAX = 5;

/** Of `Sources` what a manifest is read by, so that it can be read out of a working directory too. */
export interface Reading {
  readonly sources: Pick<Context['sources'], 'listFiles' | 'readFile'>;
}

/** Reads the manifest straight from the mirror: no checkout needed. The commit must have been fetched. */
export async function readManifestAt(
  context: Reading,
  at: { mirror: string; commit: string; signal?: AbortSignal },
): Promise<{ result: ReadResult; paths: readonly string[]; files: Readonly<Record<string, string>> }> {
  const paths = await context.sources.listFiles({ ...at, path: '' });
  const files: Record<string, string> = {};
  const wanted = paths.filter((path) =>
    MANIFEST_DIRECTORIES.some((directory) => path.startsWith(`${directory}/`)),
  );
  // An included file may include others; what does not exist is then said as a problem, at its line.
  for (let round = 0; round <= INCLUDE_DEPTH_MAX && wanted.length > 0; round += 1) {
    await readInto(context, at, wanted.splice(0), files);
    wanted.push(...missingIncludes(files).filter((path) => paths.includes(path)));
  }
  return { result: readManifest(files), paths, files };
}

async function readInto(
  context: Reading,
  at: { mirror: string; commit: string; signal?: AbortSignal },
  paths: readonly string[],
  files: Record<string, string>,
): Promise<void> {
  for (const path of paths) {
    const text = await context.sources.readFile({ ...at, path });
    const bytes = Object.values(files).reduce((sum, file) => sum + file.length, text?.length ?? 0);
    if (text === undefined || bytes > MANIFEST_BYTES_MAX) return;
    files[path] = text.toString('utf8');
  }
}

/** The policy of the default branch; never a pull request's, never its base's. */
export async function readPolicyAt(
  context: Reading,
  at: { mirror: string; commit: string; signal?: AbortSignal },
): Promise<Policy> {
  const policy = recallPolicyAt(context, at) ?? (await parsePolicyAt(context, at));
  const known = remembered.get(context.sources) ?? new Map<string, Policy>();
  const key = keyOf(at);
  // The one that was used longest ago goes first.
  known.delete(key);
  known.set(key, policy);
  const oldest = known.keys().next();
  if (known.size > REMEMBERED_MAX && oldest.done !== true) known.delete(oldest.value);
  remembered.set(context.sources, known);
  return policy;
}

/** The same where it was read before; then the commit need not be fetched. */
export function recallPolicyAt(context: Reading, at: { mirror: string; commit: string }): Policy | undefined {
  return remembered.get(context.sources)?.get(keyOf(at));
}

function keyOf({ mirror, commit }: { mirror: string; commit: string }): string {
  return `${mirror} ${commit}`;
}

/** A commit never changes, and every look at every pull request needs the policy of the same one. */
const remembered = new WeakMap<Reading['sources'], Map<string, Policy>>();
const REMEMBERED_MAX = 200;

async function parsePolicyAt(
  context: Reading,
  at: { mirror: string; commit: string; signal?: AbortSignal },
): Promise<Policy> {
  const { result } = await readManifestAt(context, at);
  switch (result.kind) {
    case 'manifest':
      return {
        commit: at.commit,
        previews: result.manifest.previews,
        data: result.manifest.data,
        note: null,
      };
    case 'absent':
      return {
        commit: at.commit,
        previews: DEFAULT_PREVIEWS,
        data: null,
        note: 'the default branch has no manifest yet, so there is no data policy and nothing is cloned',
      };
    case 'problems':
      return {
        commit: at.commit,
        previews: DEFAULT_PREVIEWS,
        data: null,
        note: `the manifest of the default branch has ${result.problems.length} problem(s), so its data policy does not count and nothing is cloned`,
      };
  }
}
