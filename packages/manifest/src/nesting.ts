/** A real manifest nests about eight deep. */
const DEPTH_MAX = 80;

/**
 * The 1-based line at which a YAML text nests too deeply, or undefined. The parser is recursive: 100,000 opening
 * brackets exhaust the stack so thoroughly that the whole process dies, which no `catch` sees. So this looks before
 * the parser does. It counts generously, without knowing strings and comments.
 */
export function tooDeepAt(text: string): number | undefined {
  const indents: number[] = [];
  let open = 0;
  for (const [index, line] of text.split('\n').entries()) {
    const indent = /^[ \t]*/.exec(line)?.[0].length ?? 0;
    if (indent < line.trimEnd().length) {
      while ((indents.at(-1) ?? -1) > indent) indents.pop();
      if (indents.at(-1) !== indent) indents.push(indent);
    }
    for (const character of line) {
      if (character === '[' || character === '{') open += 1;
      else if (character === ']' || character === '}') open = Math.max(0, open - 1);
      if (open > DEPTH_MAX) return index + 1;
    }
    const compact = /^[ \t]*(?:[-?:&!][^ \t]*[ \t]+)+/.exec(line)?.[0].split(/[ \t]+/).length ?? 0;
    if (indents.length > DEPTH_MAX || compact > DEPTH_MAX) return index + 1;
  }
  return undefined;
}
