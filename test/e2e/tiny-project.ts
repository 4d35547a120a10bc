import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Files of a repository: path → content; null removes. */
export type Files = Readonly<Record<string, string | Buffer | null>>;

export interface TinyOptions {
  /** A PostgreSQL of its own, in whose table `hook_runs` each deploy hook writes a line. */
  readonly database?: boolean;
  /** Previews get production's data as it is. */
  readonly clones?: boolean;
  /** Migrations are rehearsed on that data. */
  readonly rehearses?: boolean;
  /** Where `node gate.mjs <name>` knocks (gate.ts). */
  readonly gateUrl?: string;
}

/**
 * The smallest project that has everything: it installs nothing, builds in milliseconds, and answers with who it is.
 * `build.sh`, `hook.sh` and `start.sh` are there to be replaced by a commit: slow ones, failing ones.
 */
export async function tinyProject(options: TinyOptions = {}): Promise<Files> {
  return {
    '.bough/config.yaml': manifest(options),
    'build.sh': 'echo built >built.txt\n',
    'hook.sh': options.database === true ? 'node note-run.mjs\n' : 'echo "nothing to prepare"\n',
    'start.sh': 'exec node app.mjs\n',
    'app.mjs': app,
    'gate.mjs': gateClient(options.gateUrl),
    ...(options.database === true
      ? { 'note-run.mjs': noteRun, 'database.mjs': database, ...(await clientFiles('pg')) }
      : {}),
  };
}

export function manifest({ database, clones, rehearses }: TinyOptions = {}): string {
  return `applications:
  web:
    type: nodejs:22
    build:
      flavor: none
    hooks:
      build: sh ./build.sh
      deploy: sh ./hook.sh
${database === true ? '    relationships:\n      database: "database:postgresql"\n' : ''}    web:
      commands:
        start: exec sh ./start.sh
${database === true ? 'services:\n  database:\n    type: postgresql:17\n' : ''}routes:
  "https://{default}/":
    type: upstream
    upstream: "web:http"
previews:
  access: open
${clones === true ? `data:\n  sanitize: none\n  rehearsal: { enabled: ${rehearses === true}, stall_budget: 1m }\n` : ''}`;
}

/** `GET /` says who answers; `GET /hook-runs` which commits' hooks wrote into the database. */
const app = `import { createServer } from 'node:http';
const { BOUGH_COMMIT: commit, BOUGH_DEPLOYMENT: deployment, BOUGH_ENVIRONMENT: environment, PORT } = process.env;
createServer(async (request, response) => {
  try {
    const answer = request.url === '/hook-runs' ? await hookRuns() : { commit, deployment, environment };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
}).listen(Number(PORT));

async function hookRuns() {
  const { query } = await import('./database.mjs');
  return (await query('select commit from hook_runs order by id')).map((row) => row.commit);
}
`;

/** Waits until the test opens the gate; ends badly when the gate is not there. */
function gateClient(url = 'http://127.0.0.1:9'): string {
  return `import { request } from 'node:http';
await new Promise((resolve, reject) => {
  request('${url}/' + process.argv[2], { agent: false }, (response) => response.resume().once('end', resolve)).once('error', reject).end();
});
`;
}

const noteRun = `import { query } from './database.mjs';
await query('create table if not exists hook_runs (id serial primary key, commit text not null)');
await query('insert into hook_runs (commit) values ($1)', [process.env.BOUGH_COMMIT]);
`;

const database = `import pg from 'pg';
export async function query(text, values) {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}
`;

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));

/** The client library as it lies in this repository: the fixture is to install nothing. */
export async function clientFiles(library: string): Promise<Files> {
  const files: Record<string, Buffer | string> = {};
  const wanted = [library];
  const seen = new Set<string>();
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const directory = join(modules, name);
    const description = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>;
    };
    wanted.push(...Object.keys(description.dependencies ?? {}));
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || !/\.(c|m)?js$|^package\.json$/.test(entry.name)) continue;
      if (relative(directory, dirname(path)).split('/').includes('node_modules')) continue;
      files[`node_modules/${name}/${relative(directory, path)}`] = await readFile(path);
    }
  }
  return files;
}
