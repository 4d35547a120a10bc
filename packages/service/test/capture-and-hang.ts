/** A process that is killed while it captures: takes its parameters from standard input, and never gets to the end. */
import { text } from 'node:stream/consumers';
import { Secret } from '@bough/domain/secret';
import { storages } from '@bough/storage/registry';
import { postgresJoin } from '../src/postgresql/join.ts';

const { root, address, credentials } = JSON.parse(await text(process.stdin));
const storage = storages.copy({ root, installationId: 'one' });
const participation = postgresJoin(address, {
  username: credentials.username,
  password: new Secret(credentials.password),
  endpoints: {},
});
setInterval(() => {}, 1_000);
await storage.snapshot(
  'production',
  {
    id: 'never',
    labels: { installationId: 'one', environmentId: '1', name: 'capture:database', kind: 'capture' },
  },
  {
    ...participation,
    end: async () => {
      console.log('copied');
      await new Promise(() => {});
    },
  },
);
