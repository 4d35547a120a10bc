import { posix } from 'node:path';
import type { Located, LocatedInclude } from './located.ts';
import { parseYaml } from './parse-yaml.ts';
import type { Report } from './report.ts';

/** An include that includes that includes: deeper than this is a mistake or a circle. */
const DEPTH_MAX = 5;

export interface IncludeSource {
  readonly files: Readonly<Record<string, string>>;
  /** Gets every path that was wanted and is not in `files`. */
  readonly missing: Set<string>;
}

/** Replaces each `!include` below a node; paths are relative to `base`, a directory without slashes at the ends. */
export function resolveIncludes(
  report: Report,
  source: IncludeSource,
  node: Located,
  base: string,
  depth = 0,
): Located {
  switch (node.kind) {
    case 'scalar':
      return node;
    case 'list':
      return { ...node, items: node.items.map((item) => resolveIncludes(report, source, item, base, depth)) };
    case 'map':
      return {
        ...node,
        entries: node.entries.map((entry) => ({
          ...entry,
          value: resolveIncludes(report, source, entry.value, base, depth),
        })),
      };
    case 'include':
      return included(report, source, node, base, depth);
  }
}

function included(
  report: Report,
  source: IncludeSource,
  node: LocatedInclude,
  base: string,
  depth: number,
): Located {
  const nothing: Located = { kind: 'scalar', place: node.place, value: null, source: '' };
  const path = posix.normalize(posix.join(base, node.path));
  if (path === '..' || path.startsWith('../') || node.path.startsWith('/')) {
    report.problem(
      node.place,
      `!include "${node.path}" leaves the repository.`,
      'Include a file of this repository.',
    );
    return nothing;
  }
  if (depth >= DEPTH_MAX) {
    report.problem(
      node.place,
      `!include "${node.path}" is the ${DEPTH_MAX + 1}th in a chain.`,
      'Break the circle.',
    );
    return nothing;
  }
  const text = Object.hasOwn(source.files, path) ? source.files[path] : undefined;
  if (text === undefined) {
    source.missing.add(path);
    report.problem(
      node.place,
      `!include "${node.path}": there is no file "${path}" in the repository.`,
      base === '' ? 'The path is relative to the repository.' : `The path is relative to "${base}".`,
    );
    return nothing;
  }
  if (node.as === 'string') return { kind: 'scalar', place: node.place, value: text, source: text };
  if (node.as === 'binary') {
    const encoded = Buffer.from(text).toString('base64');
    return { kind: 'scalar', place: node.place, value: encoded, source: encoded };
  }
  const parsed = parseYaml(report, path, text);
  if (parsed === 'empty' || parsed === 'broken') return nothing;
  return resolveIncludes(report, source, parsed, base, depth + 1);
}
