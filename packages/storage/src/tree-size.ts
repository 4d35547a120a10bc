import { runTool, toolFailed } from './run-tool.ts';

/** Apparent size of everything below a directory, hard links once. Files that vanish meanwhile do not count. */
export async function treeSizeBytes(path: string): Promise<number> {
  const result = await runTool('du', ['-s', '--apparent-size', '--block-size=1', '--', path]);
  const bytes = /^(\d+)\s/.exec(result.stdout)?.[1];
  if (bytes === undefined) throw toolFailed(`Measuring ${path}`, result);
  return Number(bytes);
}
