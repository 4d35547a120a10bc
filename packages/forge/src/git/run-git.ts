import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { ForgeError } from '../forge-error.ts';
import type { GitAccess } from './git-access.ts';

/** The git that was resolved for this machine, and what it needs to find its parts; proxies and CA files belong here. */
export interface GitCommand {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface GitRun {
  readonly git: GitCommand;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Variables for this run alone. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly access?: GitAccess | undefined;
  /** Told the process, which leads a group of its own, as soon as it runs. */
  readonly onStart?: (pid: number) => Promise<void>;
  /** Default 64 MB: a list of a hundred thousand files fits. */
  readonly outputMaxBytes?: number;
}

export interface GitResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  /** The last 64 KB. */
  readonly stderr: string;
}

const STDERR_MAX = 64 * 1024;

/**
 * Runs git once, alone in a process group so that an abort or a timeout ends its helpers too. An exit code is a
 * result; only a timeout, an abort, too much output or a git that cannot start is thrown.
 */
export async function runGit(run: GitRun): Promise<GitResult> {
  run.signal?.throwIfAborted();
  const child = spawn(run.git.command, run.args, {
    env: gitEnvironment(run),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
    windowsHide: true,
  });
  const outputMax = run.outputMaxBytes ?? 64 * 1024 * 1024;
  const chunks: Buffer[] = [];
  let size = 0;
  let stderr = '';
  let stopped: 'timeout' | 'aborted' | 'output' | undefined;
  const stop = (reason: typeof stopped): void => {
    stopped ??= reason;
    if (child.pid !== undefined) killGroup(child.pid);
  };
  const onAbort = (): void => stop('aborted');
  const timer = setTimeout(() => stop('timeout'), run.timeoutMs);
  run.signal?.addEventListener('abort', onAbort, { once: true });
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > outputMax) stop('output');
    else chunks.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-STDERR_MAX);
  });
  try {
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (child.pid !== undefined) await run.onStart?.(child.pid);
    const code = await ended;
    if (stopped === 'aborted') run.signal?.throwIfAborted();
    if (stopped !== undefined) throw stoppedError(run, stopped);
    return { code, stdout: Buffer.concat(chunks), stderr };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw noGit(run, error);
    throw error;
  } finally {
    clearTimeout(timer);
    run.signal?.removeEventListener('abort', onAbort);
  }
}

export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}

/**
 * Nothing of the user's or the system's configuration, no prompt, no helper that stores a password, no hook. Objects
 * are checked on arrival, but for old slips that real histories are full of and that harm nobody.
 */
function gitEnvironment({ git, env, access }: GitRun): Record<string, string> {
  const config: Record<string, string> = {
    'core.hooksPath': '/dev/null',
    'core.fsmonitor': 'false',
    'credential.helper': '',
    'gc.auto': '0',
    'maintenance.auto': 'false',
    'fetch.fsckObjects': 'true',
    'fetch.recurseSubmodules': 'false',
    'advice.detachedHead': 'false',
    'protocol.allow': 'never',
    'protocol.http.allow': 'always',
    'protocol.https.allow': 'always',
    'protocol.file.allow': 'user',
    // A server that works on an answer says so every five seconds.
    'http.lowSpeedLimit': '1',
    'http.lowSpeedTime': '60',
    // A redirect would carry the credentials along to wherever it points.
    'http.followRedirects': 'false',
    ...HARMLESS_OBJECTS,
    ...access?.config,
  };
  return {
    PATH: `${dirname(git.command)}:/usr/local/bin:/usr/bin:/bin`,
    HOME: '/nonexistent',
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    SSH_ASKPASS: '/bin/false',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_ADVICE: '0',
    ...git.env,
    ...env,
    ...configVariables(config),
  };
}

const HARMLESS_OBJECTS = Object.fromEntries(
  [
    'badDate',
    'badDateOverflow',
    'badEmail',
    'badFilemode',
    'badName',
    'badTimezone',
    'missingEmail',
    'missingNameBeforeEmail',
    'missingSpaceBeforeDate',
    'missingSpaceBeforeEmail',
    'zeroPaddedDate',
    'zeroPaddedFilemode',
  ].map((slip) => [`fetch.fsck.${slip}`, 'ignore']),
);

/** Configuration through the environment: in no argument list and in no file. */
function configVariables(config: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(config);
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(entries.length)],
    ...entries.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ]);
}

function stoppedError(run: GitRun, stopped: 'timeout' | 'output' | 'aborted'): ForgeError {
  const verb = run.args.find((arg) => !arg.startsWith('-')) ?? 'git';
  return stopped === 'output'
    ? new ForgeError({
        code: 'forge-rejected',
        message: `git ${verb} said more than ${run.outputMaxBytes ?? 64 * 1024 * 1024} bytes.`,
        hint: 'The repository or the file is larger than Bough handles here.',
      })
    : new ForgeError({
        code: 'forge-unreachable',
        message: `git ${verb} took longer than ${Math.round(run.timeoutMs / 1000)} s and was stopped.`,
        hint: 'The forge is slow or the repository is large; Bough tries again by itself.',
        retryable: true,
      });
}

function noGit(run: GitRun, cause: Error): ForgeError {
  return new ForgeError({
    code: 'forge-rejected',
    message: `git cannot be started as ${run.git.command}.`,
    hint: 'Run "bough doctor": it says which git is used and how to get one.',
    cause,
  });
}
