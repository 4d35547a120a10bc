import http, { type IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { GatewayMetrics } from './gateway-metrics.ts';
import type { GatewayLimits } from './limits.ts';
import { refuseBytes } from './refuse-bytes.ts';
import type { Visit } from './visit.ts';

/** How one request came in: as what it may become, and whether its sender waits to be told to go on. */
export type Arrival = Pick<Visit, 'upgrade' | 'expectsContinue'>;

/** The listener for visitors: bounds on connections and headers, upgrades, and an end that gives requests their grace. */
export interface VisitorServer {
  readonly server: http.Server;
  /** Resolves with the port that was bound. */
  listen(port: number, host: string): Promise<{ port: number }>;
  /** Refuses new connections, gives running requests their grace, then cuts. */
  close(): Promise<void>;
}

export function createVisitorServer(options: {
  readonly limits: GatewayLimits;
  readonly metrics: Pick<GatewayMetrics, 'dropped' | 'visit'>;
  readonly serve: (request: IncomingMessage, response: ServerResponse, arrival: Arrival) => Promise<void>;
}): VisitorServer {
  const { limits, metrics, serve } = options;
  const upgraded = new Set<Duplex>();
  const server = createServer(limits);
  server.on('drop', () => metrics.dropped());
  server.on('request', (request, response) => {
    void serve(request, response, { upgrade: null, expectsContinue: false });
  });
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    void serve(request, response, { upgrade: null, expectsContinue: true });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const cause = refuseBytes(error, socket);
    if (cause !== null) metrics.visit(cause, 0);
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket);
    socket.once('close', () => upgraded.delete(socket));
    socket.on('error', () => {});
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    if (socket instanceof Socket) response.assignSocket(socket);
    response.once('finish', () => socket.end());
    // Other protocols that are offered (h2c) may be ignored: the request is then an ordinary one.
    const webSocket = request.headers.upgrade?.toLowerCase() === 'websocket' && request.method === 'GET';
    void serve(request, response, { upgrade: webSocket ? { socket, head } : null, expectsContinue: false });
  });

  return {
    server,
    listen(port, host) {
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.removeListener('error', reject);
          const address = server.address();
          resolve({ port: typeof address === 'object' && address !== null ? address.port : port });
        });
      });
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const idle = setInterval(() => server.closeIdleConnections(), 50);
      const cut = setTimeout(() => {
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
      }, limits.closeGraceMs);
      await closed;
      clearInterval(idle);
      clearTimeout(cut);
      for (const socket of upgraded) socket.destroy();
    },
  };
}

function createServer(limits: GatewayLimits): http.Server {
  const server = http.createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    // Uploads may take as long as they move; the idle timeout below ends those that do not.
    requestTimeout: 0,
    requireHostHeader: false,
    keepAliveTimeout: 65_000,
    connectionsCheckingInterval: 5_000,
    noDelay: true,
  });
  server.maxConnections = limits.connections;
  server.timeout = Math.max(limits.idleMs, limits.holdMs + limits.upstreamMs);
  return server;
}
