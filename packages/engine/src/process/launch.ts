import { type ChildProcess, spawn } from 'node:child_process';
import { pipeline, Readable, type Writable } from 'node:stream';
import { redact, type Secret } from '@bough/domain/secret';
import type { Door } from './door/door.ts';
import { LineSplitter, Tail } from './lines.ts';

export interface Bubblewrap {
  readonly file: string;
  /** LD_LIBRARY_PATH of an unpacked one; empty otherwise. */
  readonly libraries: string;
  /** Arguments that only some versions know. */
  readonly args: readonly string[];
}

export interface LaunchSpec {
  readonly bubblewrap: Bubblewrap;
  readonly args: readonly string[];
  /** Labels; all that anybody outside can read of it. */
  readonly labels: Readonly<Record<string, string>>;
  /** Of a sandbox with a network of its own. */
  readonly door?: Door | undefined;
  /** Control group directories to enter. */
  readonly groups: readonly string[];
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onOutput?: ((line: string) => void) | undefined;
  readonly secrets: readonly Secret[];
}

export interface LaunchResult {
  readonly exitCode: number;
  readonly killedBy?: 'timeout' | 'abort';
  readonly durationMs: number;
  readonly tail: readonly string[];
}

const tailLines = 50;

const script = `
for group in $BOUGH_GROUPS; do
  echo 0 >"$group/cgroup.procs" || { echo "[bough] the resource limits could not be applied: $group"; exit 125; }
done
[ -z "$BOUGH_BWRAP_LIBRARIES" ] || export LD_LIBRARY_PATH="$BOUGH_BWRAP_LIBRARIES"
[ -z "$BOUGH_DOOR" ] || set -- "$BOUGH_NODE" --max-old-space-size=48 "$BOUGH_DOOR_SCRIPT" "$BOUGH_DOOR"
exec "$@" "$BOUGH_BWRAP" --args 3 -- \${BOUGH_INSIDE:-/bin/sh /run/bough/command} 2>&1
`;

/**
 * Runs a sandbox to its end and dies with this process. The whole tree is one PID namespace, so killing bubblewrap kills
 * everything in it; the result comes only when nobody holds the output any more, which is when all are gone.
 */
export async function launch(spec: LaunchSpec): Promise<LaunchResult> {
  spec.signal?.throwIfAborted();
  const startedAt = performance.now();
  const tail = new Tail(tailLines);
  const splitter = new LineSplitter(
    (line) => {
      tail.push(line);
      spec.onOutput?.(line);
    },
    (text) => redact(text, spec.secrets),
  );
  const child = start(spec);
  let killedBy: LaunchResult['killedBy'];
  const kill = (reason: 'timeout' | 'abort') => {
    killedBy ??= reason;
    child.kill('SIGKILL');
  };
  const onAbort = () => kill('abort');
  const timer = setTimeout(() => kill('timeout'), spec.timeoutMs);
  spec.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    child.stdout?.on('data', (chunk: Buffer) => splitter.push(chunk));
    const exitCode = await ended(child);
    splitter.end();
    const durationMs = Math.round(performance.now() - startedAt);
    return { exitCode, durationMs, tail: tail.lines(), ...(killedBy ? { killedBy } : {}) };
  } finally {
    clearTimeout(timer);
    spec.signal?.removeEventListener('abort', onAbort);
  }
}

function start(spec: LaunchSpec): ChildProcess {
  const child = spawn('/bin/sh', ['-c', script], {
    cwd: '/',
    // A terminal's Ctrl-C is for Bough, which then ends its sandboxes in order.
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    env: {
      ...spec.labels,
      ...spec.door?.variables,
      PATH: '/usr/bin:/bin',
      BOUGH_GROUPS: spec.groups.join(' '),
      BOUGH_BWRAP: spec.bubblewrap.file,
      BOUGH_BWRAP_LIBRARIES: spec.bubblewrap.libraries,
    },
  });
  const args = Readable.from([argumentFile(spec.bubblewrap, spec.args)]);
  // It may be killed before it has read them; its exit code tells.
  pipeline(args, child.stdio[3] as Writable, () => undefined);
  return child;
}

/** What bubblewrap reads from the file descriptor of `--args`. */
export function argumentFile(bubblewrap: Bubblewrap, args: readonly string[]): string {
  return `${[...bubblewrap.args, ...args].join('\0')}\0`;
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 137));
  });
}
