import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoughError } from '@bough/domain/bough-error';
import { z } from 'zod';
import { readRunning } from './serve/running.ts';

const TIMEOUT_MS = 60_000;

const Problem = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().nullish() }),
});

/** The API of a Bough, as the verbs use it. */
export interface ApiClient {
  readonly url: string;
  get(path: string): Promise<unknown>;
  send(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<unknown>;
  /** Lines of a text or an event stream, as they come. */
  lines(path: string): AsyncIterable<string>;
}

/** Which Bough the verbs talk to: the one that is named, else the one that runs on this machine under BOUGH_HOME. */
export async function connectApi(options: {
  home: string;
  url: string | undefined;
  token: string | undefined;
}): Promise<ApiClient> {
  const url = (options.url ?? (await readRunning(options.home))?.serverUrl)?.replace(/\/+$/, '');
  if (url === undefined) {
    throw new BoughError({
      code: 'not-running',
      message: `No Bough runs on ${options.home}.`,
      hint: 'Start it with `bough serve`, or name another one with BOUGH_URL and BOUGH_ADMIN_TOKEN.',
    });
  }
  const token =
    options.token ?? (await readFile(join(options.home, 'admin-token'), 'utf8').catch(() => '')).trim();
  const call = (method: string, path: string, body?: unknown) => request({ url, token, method, path, body });
  return {
    url,
    async get(path) {
      return await (await call('GET', path)).json();
    },
    async send(method, path, body) {
      const response = await call(method, path, body);
      return response.status === 204 ? undefined : await response.json();
    },
    async *lines(path) {
      const response = await call('GET', path);
      const isEvents = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
      for await (const line of linesOf(response)) {
        if (!isEvents) yield line;
        else if (line.startsWith('data: ')) yield line.slice('data: '.length);
        else if (line.startsWith('event: end')) return;
      }
    },
  };
}

async function request(what: {
  url: string;
  token: string;
  method: string;
  path: string;
  body: unknown;
}): Promise<Response> {
  const following = what.path.includes('follow=true') || what.path.endsWith('/stream');
  let response: Response;
  try {
    response = await fetch(`${what.url}/api/v1${what.path}`, {
      method: what.method,
      headers: {
        authorization: `Bearer ${what.token}`,
        ...(what.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(what.body === undefined ? {} : { body: JSON.stringify(what.body) }),
      ...(following ? {} : { signal: AbortSignal.timeout(TIMEOUT_MS) }),
    });
  } catch (cause) {
    throw new BoughError({
      code: 'server-unreachable',
      message: `The server at ${what.url} does not answer.`,
      hint: 'Is `bough serve` running? `bough doctor` looks at this machine.',
      cause,
    });
  }
  if (response.ok) return response;
  const problem = Problem.safeParse(await response.json().catch(() => undefined));
  if (!problem.success) {
    throw new BoughError({ code: 'server-answer', message: `${what.url} answered ${response.status}.` });
  }
  throw refused(problem.data.error);
}

/** The API names a field of the request and its own description; whoever called a verb knows an option and its help. */
function refused({ code, message, hint }: z.infer<typeof Problem>['error']): BoughError {
  const isCalledWrongly = code === 'request-malformed';
  return new BoughError({
    code: isCalledWrongly ? 'usage' : code,
    message: isCalledWrongly ? message.replace(/^(?:body|path|querystring)\./, '') : message,
    hint: hint?.includes('openapi.json') ? 'The verb with --help says what it takes.' : (hint ?? undefined),
  });
}

async function* linesOf(response: Response): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body ?? []) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  if (rest !== '') yield rest;
}
