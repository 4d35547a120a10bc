import { execa } from 'execa';

export interface CommandOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
  readonly cwd?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CommandResult {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** Enough for the longest version list of the npm registry; a command that says more is stopped. */
const maxOutputBytes = 8 * 1024 * 1024;

/** Runs one short command with exactly the environment given. A failure is a result; an abort is thrown. */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  options.signal?.throwIfAborted();
  const result = await execa(file, args, {
    env: definedOnly(options.env),
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    timeout: options.timeoutMs,
    maxBuffer: maxOutputBytes,
    forceKillAfterDelay: 2_000,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  options.signal?.throwIfAborted();
  const failure = result.failed && result.stderr === '' ? (result.shortMessage ?? '') : result.stderr;
  return { ok: !result.failed, stdout: result.stdout, stderr: failure, timedOut: result.timedOut };
}

/** The end of what a command said, for the person who has to find out why it failed. */
export function lastLines(result: CommandResult, count = 12): string[] {
  return `${result.stdout}\n${result.stderr}`
    .split('\n')
    .map((line) => line.trimEnd().slice(0, 500))
    .filter((line) => line !== '')
    .slice(-count);
}

function definedOnly(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
