import { BoughError } from '@bough/domain/bough-error';
import { readConfig } from './config.ts';
import { startSandboxForge } from './sandbox-forge.ts';

async function main(): Promise<void> {
  const log = (message: string, fields: Record<string, unknown> = {}) => console.error(message, fields);
  const sandbox = await startSandboxForge({ ...readConfig(), log });
  console.log(`The sandbox forge is at ${sandbox.url} (API ${sandbox.apiUrl}).`);
  const stop = () => {
    void sandbox.close().then(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

main().catch((error: unknown) => {
  const known = error instanceof BoughError;
  console.error(known ? error.message : error);
  if (known && error.hint) console.error(error.hint);
  process.exit(1);
});
