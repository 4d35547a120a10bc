import { join } from 'node:path';
import { toolchainEnvironment } from '@bough/toolchain/toolchain';
import { testToolchain } from './test-toolchain.ts';

/** The machine's git, or one that is unpacked for the tests: a fresh machine has none. */
export async function testGit(): Promise<{ command: string; env: Record<string, string> }> {
  const git = await (await testToolchain()).resolve('git');
  return { command: join(git.bin[0] ?? '', 'git'), env: toolchainEnvironment([git]) };
}
