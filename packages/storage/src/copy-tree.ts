import { lstat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { isFullMessage, runTool, type ToolResult, toolFailed } from './run-tool.ts';

export interface TreeCopy {
  readonly source: string;
  /** Must not exist. */
  readonly target: string;
  /** `always` fails rather than copies bytes. */
  readonly reflink: 'always' | 'auto';
}

/** How often a file that was replaced under the copy is tried again before the copy counts as failed. */
const replacedTriesMax = 5;
const vanished = /^cp: cannot (?:stat|open|access|read) .*: No such file or directory$/;
const replaced = /^cp: skipping file '(.*)', as it was replaced while being copied$/;

/** Copies a tree that nobody writes to: modes, times, owners (as root), links, hard links and holes are kept. */
export async function copyFrozenTree(copy: TreeCopy): Promise<void> {
  const result = await runCopy(copy);
  if (!result.ok) throw toolFailed(`Copying ${copy.source}`, result);
}

/** As `copyFrozenTree`, yielding disk and processors to whoever else wants them, and stopped by the signal. */
export async function copyTreeQuietly(copy: TreeCopy, signal: AbortSignal): Promise<void> {
  const command = ['cp', ...copyArguments(copy)];
  const idle = ['-n', '19', 'ionice', '-c', '3', ...command];
  let result = await runTool('nice', idle, { signal });
  // 127: there is no ionice.
  if (result.exitCode === 127) result = await runTool('nice', ['-n', '19', ...command], { signal });
  signal.throwIfAborted();
  if (!result.ok) throw toolFailed(`Copying ${copy.source}`, result);
}

/**
 * Copies a tree that a server is writing to. Files that vanish meanwhile are left out; one that is replaced (written
 * beside and renamed over, which `cp` reports and skips) is copied again, because the new one belongs into the copy.
 * What comes out is as inconsistent as any copy of a moving thing: the server's own means must mend it.
 */
export async function copyLiveTree(copy: TreeCopy): Promise<void> {
  const result = await runCopy(copy);
  if (result.ok) return;
  for (const path of replacedFiles(copy, result)) await copyAgain(copy, path);
}

function runCopy(copy: TreeCopy): Promise<ToolResult> {
  return runTool('cp', copyArguments(copy));
}

function copyArguments(copy: TreeCopy): string[] {
  return ['-a', `--reflink=${copy.reflink}`, '-T', '--', copy.source, copy.target];
}

/** Throws when anything went wrong beyond files vanishing or being replaced. */
function replacedFiles(copy: TreeCopy, result: ToolResult): string[] {
  const lines = result.stderr.split('\n').filter((line) => line !== '');
  const paths: string[] = [];
  for (const line of lines) {
    const path = replaced.exec(line)?.[1];
    if (path !== undefined) paths.push(path);
    else if (!vanished.test(line)) throw toolFailed(`Copying ${copy.source}`, result);
  }
  if (result.exitCode !== 1 || lines.length === 0 || isFullMessage(result.stderr)) {
    throw toolFailed(`Copying ${copy.source}`, result);
  }
  return paths;
}

async function copyAgain(copy: TreeCopy, path: string): Promise<void> {
  const target = join(copy.target, relative(copy.source, path));
  for (let attempt = 1; ; attempt += 1) {
    const result = await runTool('cp', ['-a', `--reflink=${copy.reflink}`, '-T', '--', path, target]);
    if (result.ok || !(await exists(path))) return;
    if (attempt === replacedTriesMax) throw toolFailed(`Copying ${path}`, result);
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
