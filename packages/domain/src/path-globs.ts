const GLOB_LENGTH_MAX = 300;

/** Why a glob cannot be used; undefined when it can. */
export function pathGlobProblem(glob: string, root = 'the repository’s root'): string | undefined {
  const body = glob.startsWith('!') ? glob.slice(1) : glob;
  if (body === '') return 'an empty path matches nothing.';
  if (glob.length > GLOB_LENGTH_MAX)
    return `"${glob.slice(0, 40)}…" is longer than ${GLOB_LENGTH_MAX} characters.`;
  if (body.startsWith('/') || body.startsWith('./'))
    return `"${glob}" must begin at ${root}, without "/" or "./".`;
  if (body.split('/').some((part) => part.includes('**') && part !== '**'))
    return `"${glob}" has "**" inside a name; it stands alone between slashes, as in "web/**/*.ts".`;
  return undefined;
}

/**
 * Whether any of the paths is meant. `*` and `?` stay inside a directory, `**` crosses them, a directory means all below
 * it. Globs with `!` take away what those before them matched: for each path the last one that matches counts.
 */
export function matchesPathGlobs(paths: readonly string[], globs: readonly string[]): boolean {
  const rules = globs.map((glob) => ({ excludes: glob.startsWith('!'), parts: partsOf(glob) }));
  return paths.some((path) => {
    const names = path.split('/');
    return rules.findLast(({ parts }) => matches(names, parts, '**', matchesName))?.excludes === false;
  });
}

/** One glob without `!`, read once for many paths. */
export function compilePathGlob(glob: string): (path: string) => boolean {
  const parts = partsOf(glob);
  return (path) => matches(path.split('/'), parts, '**', matchesName);
}

/** A directory means all below it, so everything ends in `**`. */
function partsOf(glob: string): string[] {
  return [...glob.replace(/^!/, '').replace(/\/+$/, '').split('/'), '**'];
}

function matchesName(name: string, part: string): boolean {
  return matches([...name], [...part], '*', (character, wanted) => wanted === '?' || wanted === character);
}

/**
 * Matches items with wildcards that stand for any number of them. Goes back to the last wildcard only, which is enough, and
 * is why a hostile glob takes the product of both lengths and not an eternity.
 */
function matches(
  items: readonly string[],
  wanted: readonly string[],
  wildcard: string,
  equal: (item: string, part: string) => boolean,
): boolean {
  let at = 0;
  let place = 0;
  let lastWildcard = -1;
  let resumeAt = 0;
  while (at < items.length) {
    const item = items[at] ?? '';
    const part = wanted[place];
    if (part === wildcard) {
      lastWildcard = place;
      resumeAt = at;
      place += 1;
    } else if (part !== undefined && equal(item, part)) {
      at += 1;
      place += 1;
    } else if (lastWildcard >= 0) {
      resumeAt += 1;
      at = resumeAt;
      place = lastWildcard + 1;
    } else return false;
  }
  return wanted.slice(place).every((part) => part === wildcard);
}
