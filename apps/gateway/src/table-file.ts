import { readFileSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import path from 'node:path';
import type { RouteTable } from '@bough/domain/route';
import { z } from 'zod';
import type { GatewayLog } from './gateway-log.ts';

const Route = z.object({
  host: z.string().min(1),
  path: z.string().startsWith('/').endsWith('/'),
  environmentId: z.string(),
  environmentSlug: z.string(),
  projectSlug: z.string(),
  subject: z.string(),
  deploymentId: z.string().nullable(),
  state: z.enum(['serving', 'swapping', 'starting', 'asleep', 'failed']),
  target: z.object({ host: z.string(), port: z.int().min(1).max(65_535) }).nullable(),
  redirect: z
    .object({
      to: z.string(),
      code: z.union([z.literal(301), z.literal(302), z.literal(307), z.literal(308)]),
    })
    .nullable(),
  access: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('open') }),
    z.object({ kind: z.literal('basic'), username: z.string(), passwordHash: z.string() }),
    z.object({ kind: z.literal('link'), epoch: z.int() }),
  ]),
  indexable: z.boolean(),
  statusUrl: z.string(),
});

const TableFile = z.object({ routes: z.array(Route), writtenAt: z.string() });

/** The last table, on disk: what a gateway serves when it starts while the control plane is down. */
export interface TableFile {
  /** Null when there is none, or none that can be used. */
  load(): RouteTable | null;
  /** Writes in the background, whole or not at all; of several tables only the last one matters. */
  save(table: RouteTable): void;
  /** Resolves when everything has been written. */
  flush(): Promise<void>;
}

export function createTableFile(file: string, log: GatewayLog): TableFile {
  let next: RouteTable | null = null;
  let lastRoutes = '';
  let writing: Promise<void> = Promise.resolve();
  let busy = false;

  async function drain(): Promise<void> {
    while (next !== null) {
      const table = next;
      next = null;
      const routes = JSON.stringify(table.routes);
      if (routes === lastRoutes) continue;
      try {
        await writeWhole(file, JSON.stringify(table));
        lastRoutes = routes;
      } catch (error) {
        // Traffic does not depend on it; the next change of the table tries again.
        log.warn({ file, err: error }, 'the routing table could not be saved');
      }
    }
    busy = false;
  }

  return {
    load() {
      const text = readOptional(file);
      if (text === null) return null;
      try {
        return TableFile.parse(JSON.parse(text));
      } catch (error) {
        log.warn({ file, err: error }, 'the saved routing table cannot be used; waiting for the database');
        return null;
      }
    },
    save(table) {
      next = table;
      if (busy) return;
      busy = true;
      writing = drain();
    },
    flush: () => writing,
  };
}

function readOptional(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

async function writeWhole(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}
