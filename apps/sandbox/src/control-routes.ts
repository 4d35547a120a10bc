import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ZodError } from 'zod';
import type { ApiCall } from './api/api-call.ts';
import type { Commands } from './commands.ts';
import { Fault, type Faults } from './faults.ts';
import { GithubError } from './github-error.ts';
import type { World } from './world.ts';

export interface ControlOptions {
  world: World;
  commands: Commands;
  faults: Faults;
  calls: ApiCall[];
  token: string;
}

/**
 * The sandbox's own interface: `POST /_sandbox/<command>` with JSON and the token as Bearer, for tests and the demo; and
 * `POST /_sandbox/forms/<command>` for the buttons of its pages, which the browser must send from these very pages.
 */
export async function controlRoutes(server: FastifyInstance, options: ControlOptions): Promise<void> {
  const { world, faults, calls } = options;
  const commands: Record<string, ((input: never) => Promise<unknown>) | undefined> = { ...options.commands };
  server.get('/avatars/:file', async (request, reply) => {
    const seed = Number.parseInt((request.params as { file: string }).file, 10) || 0;
    return reply.type('image/svg+xml').send(avatar(seed));
  });
  server.addHook('preHandler', async (request) => {
    const path = request.routeOptions.url ?? '';
    if (path.includes('/avatars/')) return;
    if (path.includes('/forms/')) return refuseForeign(world, request);
    refuseWithoutToken(options.token, request);
  });
  server.get('/api-calls', async () => calls);
  server.delete('/api-calls', async () => {
    calls.length = 0;
    return {};
  });
  server.get('/deliveries', async () => world.state.deliveries);
  server.post('/settle', async () => {
    await world.settled();
    return {};
  });
  server.get('/faults', async () => faults.list());
  server.post('/faults', async (request) => {
    faults.set(Fault.parse(request.body));
    return faults.list();
  });
  server.delete('/faults', async () => {
    faults.clear();
    return [];
  });
  server.post('/:command', async (request) => {
    const run = commands[(request.params as { command: string }).command];
    if (!run) throw new GithubError(404, `No such command; there are ${Object.keys(commands).join(', ')}`);
    return { result: (await run((request.body ?? {}) as never)) ?? null };
  });
  server.post('/forms/:command', async (request, reply) => {
    const { back, ...fields } = request.body as Record<string, string>;
    const name = (request.params as { command: string }).command;
    const run = FORM_COMMANDS.has(name) ? commands[name] : undefined;
    if (!run) throw new GithubError(404, 'No such button');
    await run(formInput(fields) as never);
    return reply
      .code(303)
      .header('location', back?.startsWith('/') && !back.startsWith('//') ? back : '/')
      .send();
  });
}

const FORM_COMMANDS = new Set([
  'mergePullRequest',
  'closePullRequest',
  'reopenPullRequest',
  'comment',
  'requestCheckAction',
  'readyForReview',
]);

function formInput(fields: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (name === 'number' || name === 'checkRun') return [name, Number(value)];
      return [name, name === 'deleteBranch' ? value === 'true' : value];
    }),
  );
}

function refuseWithoutToken(token: string, request: FastifyRequest): void {
  const offered = Buffer.from((request.headers.authorization ?? '').replace(/^Bearer /i, ''));
  const wanted = Buffer.from(token);
  if (offered.length !== wanted.length || !timingSafeEqual(offered, wanted)) {
    throw new GithubError(401, 'The sandbox wants its token: "Authorization: Bearer <token>"');
  }
}

/** Any page on the internet can make a browser post to loopback; only ours may press the buttons. */
function refuseForeign(world: World, request: FastifyRequest): void {
  const { origin } = request.headers;
  const own = new Set([world.url, world.url.replace('127.0.0.1', 'localhost')]);
  if (!origin || !own.has(origin)) throw new GithubError(403, `The buttons work from ${world.url} only`);
}

/** A problem of the caller's input, in GitHub's form; undefined for anything else. */
export function inputError(error: unknown): GithubError | undefined {
  if (!(error instanceof ZodError)) return undefined;
  const problems = error.issues
    .slice(0, 10)
    .map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`);
  return new GithubError(422, problems.join('; '), { errors: problems });
}

function avatar(seed: number): string {
  const hue = (seed * 47) % 360;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" fill="hsl(${hue} 55% 55%)"/><circle cx="20" cy="16" r="7" fill="#fff"/><path d="M6 40a14 14 0 0 1 28 0" fill="#fff"/></svg>`;
}
