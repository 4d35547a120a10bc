import { BoughError } from '@bough/domain/bough-error';

/** `where` begins the sentence: `Commit abcdef0`. `paths` are all files there, by which other manifests are known. */
export function manifestAbsent(where: string, paths: readonly string[]): BoughError {
  const isFixed = paths.some((path) => /(?:^|\/)\.platform(?:\.app\.yaml$|\/)/.test(path));
  return new BoughError({
    code: 'manifest-absent',
    message: `${where} has no manifest: there is no .bough/*.yaml and no .upsun/*.yaml.`,
    hint: isFixed
      ? '.platform.app.yaml and .platform/ are not read. Write what they say into .upsun/config.yaml, below "applications:", "services:" and "routes:".'
      : 'Add .bough/config.yaml; docs/manifest.md shows the shortest one that works.',
  });
}
