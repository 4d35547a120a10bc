/** A process that is killed while it copies: takes its parameters from standard input and says when it begins. */
import { text } from 'node:stream/consumers';
import { type LocalStorageKind, storages } from '../src/registry.ts';

const { kind, root, action } = JSON.parse(await text(process.stdin)) as {
  kind: LocalStorageKind;
  root: string;
  action: 'snapshot' | 'ensure' | 'remove' | 'warm';
};
const storage = storages[kind]({ root, installationId: 'one' });
const labels = { installationId: 'one', environmentId: '1', name: 'x', kind: 'preview' as const };
console.log('begun');
if (action === 'snapshot') await storage.snapshot('source', { id: 'made', labels });
if (action === 'ensure') await storage.ensure({ id: 'made', labels, from: 'frozen' });
if (action === 'remove') await storage.remove('clone');
if (action === 'warm') {
  storage.warm?.keep(['frozen']);
  await storage.warm?.settled();
}
console.log('finished');
