import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { GitCommand } from '@bough/forge/git/run-git';
import { execa } from 'execa';

const TIMEOUT_MS = 10 * 60_000;
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * Serves one smart-HTTP request through `git http-backend`, git's own CGI program, so that clones and pushes meet the
 * real protocol. Resolves when the answer is complete.
 */
export async function serveGit(options: {
  git: GitCommand;
  projectRoot: string;
  /** Below the project root, with the leading slash: `/1001.git/info/refs`. */
  pathInfo: string;
  query: string;
  user: string;
  request: IncomingMessage;
  response: ServerResponse;
  /** Runs when git is done and before the client learns it, so that who has pushed finds the push noticed. */
  beforeEnd?: (() => Promise<void>) | undefined;
}): Promise<void> {
  const { request, response } = options;
  const header = (name: string) => String(request.headers[name] ?? '');
  const backend = execa(options.git.command, ['http-backend'], {
    env: {
      ...options.git.env,
      GIT_PROJECT_ROOT: options.projectRoot,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      PATH_INFO: options.pathInfo,
      QUERY_STRING: options.query,
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: header('content-type'),
      CONTENT_LENGTH: header('content-length'),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
      HTTP_GIT_PROTOCOL: header('git-protocol'),
      GIT_PROTOCOL: header('git-protocol'),
      REMOTE_USER: options.user,
      REMOTE_ADDR: request.socket.remoteAddress ?? '',
    },
    buffer: false,
    reject: false,
    timeout: TIMEOUT_MS,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'ignore',
  });
  response.once('close', () => {
    if (!response.writableFinished) backend.kill('SIGTERM');
  });
  // git may answer and leave before it has read everything; that is not our failure.
  const sent = pipeline(request, backend.stdin).catch(() => undefined);
  await forward(backend.stdout, response);
  await Promise.all([sent, backend]);
  await options.beforeEnd?.();
  response.end();
}

/** CGI answers with headers, an empty line, and the body; `Status:` is the status line. */
async function forward(output: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of output) {
    if (head === undefined) {
      await write(response, chunk);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0 && head.length > MAX_HEADER_BYTES) break;
    if (end < 0) continue;
    writeHead(response, head.subarray(0, end).toString('latin1'));
    await write(response, head.subarray(end + 4));
    head = undefined;
  }
  if (!response.headersSent)
    response.writeHead(502, { 'content-type': 'text/plain' }).write('git gave no answer\n');
}

function writeHead(response: ServerResponse, text: string): void {
  let status = 200;
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}

async function write(response: ServerResponse, chunk: Buffer): Promise<void> {
  if (chunk.length === 0 || response.destroyed) return;
  if (response.write(chunk)) return;
  await new Promise<void>((resolve) => {
    response.once('drain', resolve);
    response.once('close', resolve);
  });
}
