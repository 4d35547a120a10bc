import type { Manifest, Problem } from './manifest.ts';
import { meant } from './suggest.ts';

/**
 * Says of each app whose `source.root` is no directory of the tree so. `paths` are all files of the tree, `where` says in
 * words which one it is: `at commit abcdef0`.
 */
export function checkAppDirectories(manifest: Manifest, paths: readonly string[], where: string): Problem[] {
  const directories = new Set(paths.flatMap(parents));
  return manifest.apps
    .filter((app) => app.root !== '' && !directories.has(app.root))
    .map((app) => ({
      ...app.rootPlace,
      message: `app "${app.name}": directory "${app.root}" is not in the repository ${where}.`,
      hint: paths.includes(app.root)
        ? 'It is a file; source.root names the directory that holds the app.'
        : `Correct source.root, or commit the directory. ${meant(app.root, [...directories].sort())}`,
    }));
}

function parents(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}
