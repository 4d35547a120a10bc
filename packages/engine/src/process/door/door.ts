import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A way into and out of a sandbox that has a network of its own: two small programs, one on each side, joined by Unix
 * sockets (outside.mjs, inside.mjs). To whoever is outside, a port of the sandbox is one of this machine; to what runs
 * inside, the named peers, and nothing else, are where they would be without a network of its own.
 */
export interface Door {
  /** For the shell that starts bubblewrap: what to run in front of it, and what inside in place of the command. */
  readonly variables: Readonly<Record<string, string>>;
  readonly files: readonly { readonly source: string; readonly at: string }[];
  /** Seen inside as `/run/bough/door`; its sockets are made outside. */
  readonly directory: string;
  /** Holds why the sandbox was ended, when the door ended it. */
  readonly report: string;
}

export interface DoorSpec {
  /** A port of this machine that leads inside. */
  readonly listen: number | undefined;
  /** Ports of this machine that lead out. */
  readonly peers: readonly number[];
  /** Whether somebody serves `egress.sock` in the directory. */
  readonly egress: boolean;
  readonly disk: DiskBudget | undefined;
}

/** What all of these directories may hold together; looked at again and again, so it can be overshot for a moment. */
export interface DiskBudget {
  readonly bytes: number;
  readonly everyMs: number;
  readonly paths: readonly string[];
}

/** Where builds find their way out, inside. */
export const egressPort = 3128;

/** Two Node processes with their threads. */
export const doorPids = 32;
export const doorMemoryBytes = 160 * 1024 * 1024;
const nodeFile = '/run/bough/node';
const insideFile = '/run/bough/inside.mjs';
const scriptOf = (name: string) => fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));

/** Writes a door's configuration into `stage`, from nothing: sockets of an earlier one are gone. */
export async function makeDoor(stage: string, spec: DoorSpec): Promise<Door> {
  const directory = join(stage, 'door');
  const configuration = join(stage, 'door.json');
  const report = join(stage, 'door.report');
  await rm(directory, { recursive: true, force: true });
  await rm(report, { force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const peers = [...new Set(spec.peers)].filter((port) => port !== spec.listen);
  const inside = { listen: spec.listen ?? null, peers, egress: spec.egress ? egressPort : null };
  const outside = {
    ...{ directory, listen: spec.listen ?? null, peers, report },
    disk: spec.disk ?? null,
  };
  await writeFile(join(directory, 'inside.json'), JSON.stringify(inside), { mode: 0o600 });
  await writeFile(configuration, JSON.stringify(outside), { mode: 0o600 });
  return {
    variables: {
      BOUGH_NODE: process.execPath,
      BOUGH_DOOR_SCRIPT: scriptOf('outside'),
      BOUGH_DOOR: configuration,
      BOUGH_INSIDE: `${nodeFile} --max-old-space-size=48 ${insideFile}`,
    },
    files: [
      { source: process.execPath, at: nodeFile },
      { source: scriptOf('inside'), at: insideFile },
      { source: directory, at: '/run/bough/door' },
    ],
    directory,
    report,
  };
}

/** Node's and the loader's own variables are the command's business, not the door's: the inner half gives them back. */
export function heldBack(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [
      /^(?:NODE_|LD_|SSL_|UV_|OPENSSL_)/.test(name) ? `BOUGH_HELD_${name}` : name,
      value,
    ]),
  );
}
