import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import type { GitCommand } from '@bough/forge/git/run-git';
import fastify, { type FastifyInstance } from 'fastify';
import { noticeRefs } from './actions/notice-refs.ts';
import type { ApiCall } from './api/api-call.ts';
import { authenticate, type Credentials, publicKeyOf } from './api/caller.ts';
import { API_PREFIX, registerApi, rewriteUrl } from './api/register-api.ts';
import { buildCommands, type Commands } from './commands.ts';
import { controlRoutes, inputError } from './control-routes.ts';
import { Faults } from './faults.ts';
import { serveGit } from './git/serve-git.ts';
import { GithubError } from './github-error.ts';
import { Hookshot } from './hookshot.ts';
import { pageRoutes } from './page/page-routes.ts';
import { type Repository, StateFile } from './state.ts';
import { appLogin, findFormerRepository, findRepository, userOf, type World } from './world.ts';

export interface SandboxOptions {
  /** Repositories and state; kept across restarts. */
  home: string;
  /** 0 or absent: a free one. */
  port?: number;
  /** The personal token, also the password for git and for /_sandbox. */
  token: string;
  /** PEM; without it the sandbox makes one and keeps it under its home. */
  appPrivateKey?: string;
  /** The account that the token belongs to. */
  tokenUser?: string;
  /** git 2.38 or newer; `git` on the PATH by default. */
  git?: GitCommand;
  log?: (message: string, fields?: Record<string, unknown>) => void;
}

/** A running sandbox. Its commands do what people do at GitHub; see commands.ts for their input. */
export interface SandboxForge extends Commands {
  readonly url: string;
  readonly apiUrl: string;
  readonly appId: number;
  readonly appPrivateKey: string;
  readonly faults: Faults;
  /** Every API call since the start, oldest first. */
  readonly apiCalls: ApiCall[];
  /** Resolves when every webhook sent so far was answered or failed. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/** The address is known only once the server listens. */
type Writable<T> = { -readonly [K in keyof T]: T[K] };

const MAX_BODY_BYTES = 32 * 1024 * 1024;

export async function startSandboxForge(options: SandboxOptions): Promise<SandboxForge> {
  const home = resolve(options.home);
  const file = await StateFile.open(home);
  const appPrivateKey = options.appPrivateKey ?? (await ownKey(home));
  const credentials: Credentials = { token: options.token, appPublicKey: publicKeyOf(appPrivateKey) };
  const faults = new Faults();
  const world = buildWorld(options, { home, file, faults });
  const commands = buildCommands(world);
  const calls: ApiCall[] = [];
  const server = buildServer({ world, credentials, faults, log: options.log });
  await server.register((api) => registerApi(api, { world, credentials, faults, calls }), {
    prefix: API_PREFIX,
  });
  await server.register(
    (control) => controlRoutes(control, { world, commands, faults, calls, token: options.token }),
    {
      prefix: '/_sandbox',
    },
  );
  await server.register((pages) => pageRoutes(pages, world));
  world.url = await listen(server, options.port ?? 0);
  world.apiUrl = `${world.url}${API_PREFIX}`;
  // Refs that moved while the sandbox was down are noticed now.
  for (const repository of world.state.repositories) {
    await world.exclusively(repository, () => noticeRefs(world, repository, world.tokenUser));
  }
  return {
    ...commands,
    url: world.url,
    apiUrl: world.apiUrl,
    appId: world.state.app.id,
    appPrivateKey,
    faults,
    apiCalls: calls,
    settled: () => world.settled(),
    close: async () => {
      await server.close();
      await world.idle();
      await world.hookshot.close();
      await file.flush();
    },
  };
}

async function ownKey(home: string): Promise<string> {
  const path = join(home, 'app.pem');
  const known = await readFile(path, 'utf8').catch(() => undefined);
  if (known) return known;
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await writeFile(path, privateKey, { mode: 0o600 });
  return privateKey;
}

function buildWorld(
  options: SandboxOptions,
  parts: { home: string; file: StateFile; faults: Faults },
): Writable<World> {
  const lines = new Map<number, Promise<unknown>>();
  const world: Writable<World> = {
    file: parts.file,
    state: parts.file.state,
    home: parts.home,
    git: options.git ?? { command: 'git', env: {} },
    url: '',
    apiUrl: '',
    tokenUser: options.tokenUser ?? 'sandbox',
    hookshot: new Hookshot(parts.file, parts.faults),
    exclusively<T>(repository: Repository, work: () => Promise<T>): Promise<T> {
      const result = (lines.get(repository.id) ?? Promise.resolve()).then(work);
      lines.set(
        repository.id,
        result.catch(() => undefined),
      );
      return result;
    },
    idle: async () => {
      await Promise.all(lines.values());
    },
    settled: async () => {
      await world.idle();
      await world.hookshot.settled();
    },
  };
  userOf(world, world.tokenUser);
  userOf(world, appLogin(world), 'Bot');
  return world;
}

interface Serving {
  readonly world: World;
  readonly credentials: Credentials;
  readonly faults: Faults;
  readonly log: SandboxOptions['log'];
}

function buildServer(serving: Serving): FastifyInstance {
  const { world, log } = serving;
  const server = fastify({
    bodyLimit: MAX_BODY_BYTES,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 1000, ignoreTrailingSlash: true },
    rewriteUrl: (request) => rewriteUrl(world, request.url ?? '/'),
    serverFactory: (handler) =>
      createServer((request, response) => {
        const git = gitRequest(request);
        if (git) void handleGit(serving, git, request, response);
        else handler(request, response);
      }),
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    async (_: unknown, body: unknown) => Object.fromEntries(new URLSearchParams(String(body))),
  );
  // GitHub reads any other body as JSON, whatever its type says, and an empty one as absent.
  server.addContentTypeParser('*', { parseAs: 'string' }, async (_: unknown, body: unknown) =>
    parseJson(String(body)),
  );
  server.setErrorHandler((error, _request, reply) => {
    const known = error instanceof GithubError ? error : inputError(error);
    if (known) return reply.code(known.status).headers(known.headers).send(known.body);
    log?.('the sandbox failed', { error });
    const message = error instanceof BoughError ? error.message : 'Server Error';
    return reply.code((error as { statusCode?: number }).statusCode ?? 500).send({ message });
  });
  return server;
}

function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new GithubError(400, 'Problems parsing JSON');
  }
}

async function listen(server: FastifyInstance, port: number): Promise<string> {
  try {
    await server.listen({ host: '127.0.0.1', port });
  } catch (error) {
    throw new BoughError({
      code: 'sandbox-port-taken',
      message: `The sandbox forge cannot listen on 127.0.0.1:${port}.`,
      hint: 'Stop what uses the port, or choose another with SANDBOX_PORT.',
      cause: error,
    });
  }
  return `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
}

interface GitRequest {
  name: string;
  operation: string;
  query: string;
  writes: boolean;
}

function gitRequest(request: IncomingMessage): GitRequest | undefined {
  const url = new URL(request.url ?? '/', 'http://sandbox');
  const match = /^\/([^/]+\/[^/]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(
    url.pathname,
  );
  if (!match) return undefined;
  const operation = match[2] ?? '';
  const writes = operation === 'git-receive-pack' || url.searchParams.get('service') === 'git-receive-pack';
  return { name: match[1] ?? '', operation, query: url.search.slice(1), writes };
}

async function handleGit(
  { world, credentials, faults, log }: Serving,
  git: GitRequest,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const fault = faults.takeForCall('GIT', `/${git.name}/${git.operation}`);
    if (fault?.delayMs) await delay(fault.delayMs);
    if (fault?.hang) return faults.hold(request.socket);
    if (fault?.status !== undefined) return void response.writeHead(fault.status).end();
    const repository = findRepository(world, git.name) ?? findFormerRepository(world, git.name);
    const caller = gitCaller(world, credentials, request);
    if (!caller && (git.writes || repository?.private || request.headers.authorization)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="GitHub"', 'content-type': 'text/plain' });
      response.end('remote: Invalid username or token.\n');
      return;
    }
    if (!repository) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('remote: Repository not found.\n');
      return;
    }
    const user = caller ?? '';
    const serve = (beforeEnd?: () => Promise<void>) =>
      serveGit({
        git: world.git,
        projectRoot: join(world.home, 'git'),
        pathInfo: `/${repository.id}.git/${git.operation}`,
        query: git.query,
        user,
        request,
        response,
        beforeEnd,
      });
    if (git.operation !== 'git-receive-pack') return await serve();
    await world.exclusively(repository, () => serve(() => noticeRefs(world, repository, user)));
  } catch (error) {
    log?.('git over HTTP failed', { repository: git.name, error });
    response.destroy();
  }
}

function gitCaller(world: World, credentials: Credentials, request: IncomingMessage): string | undefined {
  try {
    const caller = authenticate(world, credentials, request.headers.authorization);
    return caller && caller.kind !== 'app' ? caller.login : undefined;
  } catch (error) {
    if (error instanceof GithubError) return undefined;
    throw error;
  }
}
