import { BoughError } from '@bough/domain/bough-error';
import { execa } from 'execa';

/** Directories with commands that the base system lacks, and with the libraries of those. */
export interface ToolPlaces {
  readonly bin: readonly string[];
  readonly libraryPath: readonly string[];
}

export interface ToolOptions {
  readonly signal?: AbortSignal;
  readonly places?: ToolPlaces | undefined;
}

export interface ToolResult {
  readonly ok: boolean;
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Copying a terabyte takes hours; whatever takes longer than this hangs. */
const timeoutMs = 6 * 60 * 60_000;
const basePath = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** A live copy may report many vanished files; whoever says more than this is stopped. */
const maxOutputBytes = 4 * 1024 * 1024;

/**
 * Runs a command of the base system. It speaks English whatever the user's language is, because callers read its
 * messages, and finds its tools in /usr/sbin too, which an ordinary user's PATH may lack.
 */
export async function runTool(
  file: string,
  args: readonly string[],
  { signal, places }: ToolOptions = {},
): Promise<ToolResult> {
  const libraries = places?.libraryPath ?? [];
  const result = await execa(file, args, {
    env: {
      LC_ALL: 'C',
      PATH: [...basePath, ...(places?.bin ?? [])].join(':'),
      ...(libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(':') }),
    },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    timeout: timeoutMs,
    maxBuffer: maxOutputBytes,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  return {
    ok: !result.failed,
    exitCode: result.exitCode,
    stdout: result.stdout,
    stderr: result.stderr === '' && result.failed ? (result.shortMessage ?? '') : result.stderr,
  };
}

export function toolFailed(what: string, result: ToolResult): BoughError {
  const tail = result.stderr.split('\n').slice(-8);
  return new BoughError({
    code: isFullMessage(result.stderr) ? 'disk-full' : 'storage-failed',
    message: `${what} failed: ${tail[0] ?? `exit code ${result.exitCode}`}`,
    hint: 'Look at the disk under BOUGH_HOME: space, permissions, the system log.',
    tail,
    retryable: true,
  });
}

export function isFullMessage(text: string): boolean {
  return /No space left on device|Disk quota exceeded/.test(text);
}
