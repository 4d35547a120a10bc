import { join } from 'node:path';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import { makePrivateDirectory } from '@bough/boot/private-directory';
import { toolchainCache } from '@bough/boot/toolchain-cache';
import { createToolchain, type Toolchain } from '@bough/toolchain/toolchain';
import { diskDirectory } from './memory-directory.ts';

/**
 * A toolchain whose home outlives the test run, so that Node and PostgreSQL are fetched once and not at each run: in
 * node_modules/.cache, or in the disk's temporary directory where the checkout is another user's.
 */
export async function testToolchain(): Promise<Toolchain> {
  return createToolchain({
    home: await testToolchainHome(),
    env: process.env,
    log: { info: () => {} },
    packageDirectories: embeddedPackageDirectories(),
  });
}

export async function testToolchainHome(): Promise<string> {
  const cache = await toolchainCache();
  if (cache !== undefined) return cache;
  const home = join(diskDirectory(), `bough-toolchains-${process.getuid?.() ?? 0}`);
  await makePrivateDirectory(home, 'Remove it, or run the tests as the user who owns the checkout.');
  return home;
}
