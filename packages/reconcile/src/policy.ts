import { listFiles, readFile } from '@bough/forge/git/source';
import type { DataPolicy, PreviewPolicy, ReadResult } from '@bough/manifest/manifest';
import { readManifest } from '@bough/manifest/read-manifest';
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

/** Reads the manifest straight from the mirror: no checkout needed. The commit must have been fetched. */
export async function readManifestAt(
  context: Context,
  at: { mirror: string; commit: string; signal?: AbortSignal },
): Promise<{ result: ReadResult; paths: readonly string[] }> {
  const paths = await listFiles({ ...at, path: '', git: context.git });
  const files: Record<string, string> = {};
  let bytes = 0;
  for (const path of paths) {
    if (!MANIFEST_DIRECTORIES.some((directory) => path.startsWith(`${directory}/`))) continue;
    const text = await readFile({ ...at, path, git: context.git });
    if (text === undefined) continue;
    bytes += text.length;
    if (bytes > MANIFEST_BYTES_MAX) break;
    files[path] = text.toString('utf8');
  }
  return { result: readManifest(files), paths };
}

/** The policy of the default branch; never a pull request's, never its base's. */
export async function readPolicyAt(
  context: Context,
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
        previews: { access: null },
        data: null,
        note: 'the default branch has no manifest yet, so there is no data policy and nothing is cloned',
      };
    case 'problems':
      return {
        commit: at.commit,
        previews: { access: null },
        data: null,
        note: `the manifest of the default branch has ${result.problems.length} problem(s), so its data policy does not count and nothing is cloned`,
      };
  }
}
