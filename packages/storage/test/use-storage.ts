/** The whole life of a volume, to be run as another user; prints what came of it. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseStorage } from '../src/probe.ts';

const root = process.argv[2] ?? '';
const { storage } = await chooseStorage({
  root,
  want: 'auto',
  installationId: 'one',
  log: { info: () => {} },
});
const labels = { installationId: 'one', environmentId: '1', name: 'x', kind: 'preview' as const };
const volume = await storage.ensure({ id: 'a', labels });
await writeFile(join(volume.path, 'file'), 'data');
await storage.snapshot('a', { id: 's', labels });
const clone = await storage.ensure({ id: 'b', labels, from: 's' });
const cloned = await readFile(join(clone.path, 'file'), 'utf8');
await storage.usage('b');
await storage.remove('a');
await storage.remove('b');
await storage.removeSnapshot('s');
const left = [...(await readdir(join(root, 'volumes'))), ...(await readdir(join(root, 'snapshots')))];
console.log(JSON.stringify({ kind: storage.kind, cloned, left }));
