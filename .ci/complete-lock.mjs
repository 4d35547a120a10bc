// A registry mirror may lack the platform packages of other systems (biome's and turbo's for macOS and Windows, say).
// `npm install` then leaves them out of package-lock.json without a word and the next `npm ci` refuses that lock.
// This adds the missing entries: version, os, cpu and libc, optional, no integrity. Run by `npm run lock`.
import { readFileSync, writeFileSync } from 'node:fs';

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));

/** os, cpu and libc as the package's name says them: `@biomejs/cli-linux-x64-musl`, `@turbo/darwin-64`. */
function platformOf(name) {
  const words = name.split(/[/-]/);
  const os = ['android', 'darwin', 'linux', 'win32', 'freebsd'].find((word) => words.includes(word));
  const cpu =
    ['arm64', 'x64', 'arm', 'ia32'].find((word) => words.includes(word)) ??
    (words.includes('64') ? 'x64' : undefined);
  return {
    ...((os ?? words.includes('windows')) ? { os: [os ?? 'win32'] } : {}),
    ...(cpu ? { cpu: [cpu] } : {}),
    ...(words.includes('musl') ? { libc: ['musl'] } : {}),
  };
}

let added = 0;
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${path}/node_modules/${name}`;
    const hoisted = `node_modules/${name}`;
    if (lock.packages[hoisted] || lock.packages[nested]) continue;
    lock.packages[hoisted] = { version, ...platformOf(name), optional: true };
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`package-lock.json: ${added} platform entries added\n`);
