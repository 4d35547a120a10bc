import { BoughError } from '@bough/domain/bough-error';
import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerLog } from './options.ts';

/** The one shape of everything that goes wrong: what, why, and what to do next. */
export const Problem = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().nullable(),
    place: z.string().optional().describe('Where in the request: a field, a header'),
  }),
});
export type Problem = z.infer<typeof Problem>;

/** A failure with the status that it has over HTTP. */
interface Answer {
  readonly status: number;
  readonly body: Problem;
}

const statuses: Readonly<Record<string, number>> = {
  unauthorized: 401,
  'webhook-unsigned': 401,
  'webhook-signature-wrong': 401,
  'not-found': 404,
  conflict: 409,
  'route-taken': 409,
  'request-malformed': 400,
  'webhook-malformed': 400,
  'request-too-large': 413,
  'queue-unavailable': 503,
  'store-unavailable': 503,
  'server-busy': 503,
  'server-stopping': 503,
  'forge-unreachable': 502,
  'forge-unauthorized': 502,
  'forge-forbidden': 502,
  'forge-rate-limited': 503,
  'forge-rejected': 502,
};

export function problem(options: {
  code: string;
  message: string;
  hint?: string | undefined;
  place?: string | undefined;
}): Problem {
  const { code, message, hint, place } = options;
  return { error: { code, message, hint: hint ?? null, ...(place === undefined ? {} : { place }) } };
}

export function notFound(what: string, hint: string): BoughError {
  return new BoughError({ code: 'not-found', message: `There is no ${what}.`, hint });
}

/** Every error and every unknown path of the whole server answers in the one shape. */
export function installProblemHandlers(app: FastifyInstance, log: ServerLog): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const answer = toAnswer(error, request);
    if (answer.status >= 500)
      log.error({ err: error, method: request.method, route: route(request) }, 'request failed');
    if (answer.status === 503) reply.header('retry-after', '5');
    return reply.status(answer.status).type('application/json').send(JSON.stringify(answer.body));
  });
  app.setNotFoundHandler((request, reply) => {
    const [path] = request.url.split('?');
    const body = problem({
      code: 'not-found',
      message: `There is nothing at ${request.method} ${path?.slice(0, 200)}.`,
      hint: 'The API is described at /api/v1/openapi.json.',
    });
    return reply.status(404).type('application/json').send(JSON.stringify(body));
  });
}

/** The pattern, not the path: paths may hold what should not be in a log. */
const route = (request: FastifyRequest): string => request.routeOptions.url ?? 'unknown';

function toAnswer(error: FastifyError, request: FastifyRequest): Answer {
  if (hasZodFastifySchemaValidationErrors(error)) return malformed(error);
  if (error instanceof BoughError) return fromBoughError(error);
  if (isStoreFailure(error)) return storeUnavailable();
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge(request);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    const body = problem({ code: 'request-malformed', message: error.message });
    return { status: error.statusCode, body };
  }
  const body = problem({
    code: 'internal',
    message: 'Something went wrong inside Bough.',
    hint: "The server's log has the details; please report them.",
  });
  return { status: 500, body };
}

function fromBoughError(error: BoughError): Answer {
  const { code, message, hint } = error;
  return { status: statuses[code] ?? (error.retryable ? 503 : 422), body: problem({ code, message, hint }) };
}

function malformed(error: {
  validation: { instancePath: string; message?: string }[];
  validationContext?: string | undefined;
}): Answer {
  const [first] = error.validation;
  const field = (first?.instancePath ?? '').replace(/^\//, '').replaceAll('/', '.');
  const where = error.validationContext === 'params' ? 'path' : (error.validationContext ?? 'request');
  const place = field === '' ? where : `${where}.${field}`;
  const body = problem({
    code: 'request-malformed',
    message: `${place}: ${first?.message ?? 'does not fit'}.`,
    hint: 'The API is described at /api/v1/openapi.json.',
    place,
  });
  return { status: 400, body };
}

function tooLarge(request: FastifyRequest): Answer {
  const limit = request.routeOptions.bodyLimit;
  const body = problem({
    code: 'request-too-large',
    message: `The body is larger than ${Math.round(limit / 1024)} KiB.`,
  });
  return { status: 413, body };
}

function storeUnavailable(): Answer {
  const body = problem({
    code: 'store-unavailable',
    message: 'The database does not answer.',
    hint: 'Try again shortly. If it stays so, check the server behind DATABASE_URL (`bough doctor`).',
  });
  return { status: 503, body };
}

/** Connection failures, and the classes of SQLSTATE that mean "not now": connection, resources, operator, system. */
function isStoreFailure(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof BoughError) return false;
  const code = 'code' in error ? String(error.code) : '';
  if (/^(08|53|57|58)[0-9A-Z]{3}$/.test(code)) return true;
  if (['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH'].includes(code))
    return true;
  return /Connection terminated|timeout exceeded when trying to connect|Cannot use a pool|Client has encountered a connection error/.test(
    error.message,
  );
}
