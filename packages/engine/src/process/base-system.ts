import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';

/** The parts of this machine that every sandbox shows, read-only. */
export interface BaseSystem {
  /** `/bin` → `usr/bin` on merged systems. */
  readonly links: readonly { readonly at: string; readonly target: string }[];
  /** `/bin` and so on where they are directories of their own. */
  readonly directories: readonly string[];
  /** What is shown of /etc. */
  readonly configuration: readonly string[];
  /** Files inside what is shown that hold the operator's credentials: replaced by an empty one. */
  readonly hiddenFiles: readonly string[];
  /** Parts of /proc that are the kernel's and not a process's: shown read-only. */
  readonly kernelReadOnly: readonly string[];
  /** Files of /proc that only root may read: empty. */
  readonly kernelHidden: readonly string[];
}

const systemDirectories = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/** Nothing of /etc that can hold a secret: of /etc/ssl the certificates, not the private keys. */
const configuration = [
  ...[
    '/etc/ssl/certs',
    '/etc/ssl/openssl.cnf',
    '/etc/ca-certificates',
    '/etc/pki/tls/certs',
    '/etc/pki/ca-trust/extracted',
  ],
  ...[
    '/etc/resolv.conf',
    '/etc/nsswitch.conf',
    '/etc/host.conf',
    '/etc/gai.conf',
    '/etc/services',
    '/etc/protocols',
  ],
  ...['/etc/localtime', '/etc/timezone', '/etc/mime.types', '/etc/os-release', '/etc/debian_version'],
  ...['/etc/ld.so.cache', '/etc/ld.so.conf', '/etc/ld.so.conf.d', '/etc/alternatives', '/etc/fonts'],
];

/** npm's global configuration lies under /usr and may hold a registry token. */
const hiddenFiles = ['/usr/etc/npmrc', '/usr/local/etc/npmrc'];

export async function describeBaseSystem(): Promise<BaseSystem> {
  const links: { at: string; target: string }[] = [];
  const directories: string[] = [];
  for (const path of systemDirectories) {
    const entry = await lstat(path).catch(() => undefined);
    if (entry?.isSymbolicLink()) links.push({ at: path, target: await readlink(path) });
    else if (entry?.isDirectory()) directories.push(path);
  }
  return {
    ...(await describeKernelFiles()),
    links,
    directories,
    configuration: await existing(configuration),
    hiddenFiles: await existing(hiddenFiles),
  };
}

/**
 * A sandbox of root's Bough is root outside, and for /proc/sys the kernel asks for no more than that: left writable,
 * core_pattern alone would be a way out. Bubblewrap covers it only where the directory's mode says that it is writable.
 */
async function describeKernelFiles(): Promise<Pick<BaseSystem, 'kernelReadOnly' | 'kernelHidden'>> {
  const [kernelReadOnly, kernelHidden]: [string[], string[]] = [[], []];
  for (const name of (await readdir('/proc')).sort()) {
    const path = `/proc/${name}`;
    const entry = /^\d+$/.test(name) ? undefined : await lstat(path).catch(() => undefined);
    if (entry?.isDirectory()) kernelReadOnly.push(path);
    else if (entry?.isFile() && (entry.mode & 0o004) === 0) kernelHidden.push(path);
    else if (entry?.isFile() && (entry.mode & 0o222) !== 0) kernelReadOnly.push(path);
  }
  return { kernelReadOnly, kernelHidden };
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      realpath(path).then(
        async (real) => ((await stat(real)).isDirectory() || (await stat(real)).isFile() ? path : undefined),
        () => undefined,
      ),
    ),
  );
  return found.filter((path) => path !== undefined);
}
