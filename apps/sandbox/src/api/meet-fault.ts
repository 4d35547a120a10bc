import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Fault, Faults } from '../faults.ts';
import { GithubError } from '../github-error.ts';

/** What goes wrong before the work: late, never, or refused. */
export async function meetFault(
  faults: Faults,
  fault: Fault,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  if (fault.delayMs) await delay(fault.delayMs);
  if (fault.hang || fault.disconnect === 'before') {
    reply.hijack();
    if (fault.hang) faults.hold(request.raw.socket);
    else request.raw.socket.destroy();
  } else if (fault.primaryLimitResetS !== undefined) {
    const reset = Math.floor(Date.now() / 1000) + fault.primaryLimitResetS;
    throw new GithubError(403, fault.message ?? 'API rate limit exceeded for user ID 1001.', {
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(reset) },
    });
  } else if (fault.status !== undefined) {
    const limited = fault.retryAfter !== undefined;
    const message = limited
      ? 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
      : STATUS_WORDS[fault.status];
    throw new GithubError(fault.status, fault.message ?? message ?? 'Server Error', {
      headers: limited ? { 'retry-after': String(fault.retryAfter) } : {},
    });
  }
}

const STATUS_WORDS: Record<number, string> = {
  401: 'Bad credentials',
  403: 'Resource not accessible by integration',
  404: 'Not Found',
  409: 'Conflict',
  410: 'Gone',
  422: 'Validation Failed',
};

type Json = Record<string, unknown>;

/** What the forge says against better knowledge. */
export function falsify({ omit, overlay }: Fault, payload: unknown): unknown {
  if (!Array.isArray(payload)) return overlay === undefined ? payload : layOver(payload, overlay);
  const listed = payload.filter((element: { number?: number }) => !omit?.includes(element.number ?? 0));
  return overlay === undefined ? listed : listed.map((element) => layOver(element, overlay));
}

function layOver(value: unknown, overlay: Json): unknown {
  if (!isObject(value)) return value;
  const changed = Object.entries(overlay).map(([name, wanted]) => [
    name,
    isObject(wanted) ? layOver(value[name], wanted) : wanted,
  ]);
  return { ...value, ...Object.fromEntries(changed) };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What becomes of an answer on its way, when the work is done. */
export function spoil(fault: Fault, request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
  if (fault.trickle) return Readable.from(slowly());
  if (fault.html) {
    reply.code(200).type('text/html');
    return '<!doctype html><title>Sign in</title><h1>Sign in to the network</h1>';
  }
  if (fault.statusAfter !== undefined) {
    reply.code(fault.statusAfter);
    return JSON.stringify({ message: 'Server Error' });
  }
  if (!fault.unchanged || request.headers['if-none-match'] === undefined) return payload;
  reply.code(304).removeHeader('content-type');
  return null;
}

/** The beginning of what could be an answer. Ends when the client has gone. */
async function* slowly(): AsyncGenerator<string> {
  yield '{';
  for (;;) {
    await delay(200, undefined, { ref: false });
    yield ' ';
  }
}
