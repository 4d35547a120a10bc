import { pathToFileURL } from 'node:url';
import { load } from './load.js';

// One of the processes of `bough serve`: `node start.js <…/apps/worker/src/main.ts>`.
await load(pathToFileURL(process.argv[2]));
