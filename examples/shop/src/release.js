import { readFileSync } from 'node:fs';

/** What the build wrote: the version and the names of packed files. Ends the process with advice when there was no build. */
export const release = readRelease();

function readRelease() {
  const file = new URL('../dist/release.json', import.meta.url);
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    console.error('dist/release.json is not there: run "npm run build" first.');
    process.exit(1);
  }
}
