import { rm } from 'node:fs/promises';
import { runTool, toolFailed } from './run-tool.ts';

/**
 * Removes a directory tree that may hold directories without write permission (a Go module cache, for one), which an
 * ordinary user cannot remove before giving itself that permission; and one that a dying copy still adds to.
 */
export async function eraseTree(path: string): Promise<void> {
  const removeAll = () => rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  try {
    await removeAll();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    const result = await runTool('chmod', ['-R', 'u+rwX', '--', path]);
    if (!result.ok) throw toolFailed(`Removing ${path}`, result);
    await removeAll();
  }
}
