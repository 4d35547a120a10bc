import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';

/** Where distributions put servers that an ordinary user's PATH often lacks. */
const standardDirectories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Every executable file of that name, in the order of PATH, then of the standard directories. */
export async function searchPath(name: string, path: string | undefined): Promise<string[]> {
  const directories = [...(path ?? '').split(delimiter), ...standardDirectories].filter(isAbsolute);
  const found: string[] = [];
  for (const directory of new Set(directories)) {
    const file = join(directory, name);
    if (await isExecutable(file)) found.push(file);
  }
  return found;
}

export async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

export async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}
