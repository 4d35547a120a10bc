import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** How long requests that are being answered may take when the server stops. */
const graceMs = 10_000;
const sweepMs = 50;

/**
 * Node closes the connections that wait between two requests at the moment of the stop, but neither those on which none
 * was ever sent (browsers open such in advance) nor those whose last answer ends a moment later. Each would hold up
 * the stop until its timeout, a minute and more.
 */
export function closeConnectionsOnStop(app: FastifyInstance): void {
  const unused = new Set<Socket>();
  app.server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  app.server.on('request', ({ socket }) => unused.delete(socket));
  app.addHook('preClose', async () => {
    if (!app.server.listening) return;
    const deadline = Date.now() + graceMs;
    const timer = setInterval(() => {
      if (Date.now() > deadline) app.server.closeAllConnections();
      else app.server.closeIdleConnections();
      for (const socket of unused) socket.destroy();
    }, sweepMs);
    app.server.once('close', () => clearInterval(timer));
  });
}
