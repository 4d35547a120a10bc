import { runTool, toolFailed } from './run-tool.ts';

/** Writes out the file system that holds the path, so that what is labelled afterwards survives a power cut. */
export async function syncTree(path: string): Promise<void> {
  const result = await runTool('sync', ['--file-system', '--', path]);
  if (!result.ok) throw toolFailed(`Writing ${path} to the disk`, result);
}
