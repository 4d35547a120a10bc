import { mkdtemp, rm } from 'node:fs/promises';
import http, { type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Route, RouteTable } from '@bough/domain/route';
import { createGateway, type Gateway, type GatewayOptions } from '../src/gateway.ts';
import type { GatewayMetrics, VisitOutcome } from '../src/gateway-metrics.ts';

/** One test's gateway and apps; all of it is gone after `close`. */
export interface Bench {
  readonly gateway: Gateway;
  readonly port: number;
  readonly tableFile: string;
  readonly outcomes: VisitOutcome[];
  /** Requests held right now. */
  held(): number;
  app(listener: RequestListener): Promise<{ server: http.Server; port: number; close(): Promise<void> }>;
  set(...routes: Route[]): void;
  close(): Promise<void>;
}

export const quietLog = { debug() {}, info() {}, warn() {}, error() {} };

export async function openBench(options: Partial<GatewayOptions> = {}): Promise<Bench> {
  const directory = await mkdtemp(path.join(tmpdir(), 'bough-gateway-'));
  const tableFile = path.join(directory, 'routes.json');
  const apps: Array<() => Promise<void>> = [];
  const outcomes: VisitOutcome[] = [];
  let held = 0;
  const metrics: GatewayMetrics = {
    visit: (outcome) => outcomes.push(outcome),
    held: (count) => {
      held = count;
    },
    dropped() {},
  };
  const gateway = createGateway({
    tableFile,
    trustedProxies: [],
    log: quietLog,
    metrics,
    ...options,
    limits: { closeGraceMs: 200, ...options.limits },
  });
  const { port } = await gateway.listen(0, '127.0.0.1');
  return {
    gateway,
    port,
    tableFile,
    outcomes,
    held: () => held,
    async app(listener) {
      const app = await startApp(listener);
      apps.push(app.close);
      return app;
    },
    set: (...routes) => gateway.setTable(tableOf(...routes)),
    async close() {
      await gateway.close();
      await Promise.all(apps.map((close) => close()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export async function startApp(listener: RequestListener) {
  const server = http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  return { server, port, close };
}

export function tableOf(...routes: Route[]): RouteTable {
  return { routes, writtenAt: new Date().toISOString() };
}

export function route(port: number | null, changes: Partial<Route> = {}): Route {
  return {
    host: 'pr-7--shop.localhost',
    path: '/',
    environmentId: '7',
    environmentSlug: 'pr-7--shop',
    projectSlug: 'shop',
    subject: 'pull/7',
    deploymentId: '70',
    state: 'serving',
    target: port === null ? null : { host: '127.0.0.1', port },
    redirect: null,
    access: { kind: 'open' },
    indexable: false,
    statusUrl: 'http://localhost:3000/environments/pr-7--shop',
    ...changes,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface AskOptions extends http.RequestOptions {
  readonly send?: string | Buffer | undefined;
}

/** One request to the gateway, as a visitor makes it; rejects when the connection breaks half-way. */
export function ask(bench: { port: number }, url: string, options: AskOptions = {}): Promise<Answer> {
  const { send, headers, ...rest } = options;
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1',
      port: bench.port,
      path: url,
      agent: false,
      ...rest,
      headers: { host: 'pr-7--shop.localhost', ...headers },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      readAll(response).then(
        (body) =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: body.toString() }),
        reject,
      );
    });
    request.end(send);
  });
}

export async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
