import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BoughError } from '@bough/domain/bough-error';
import type { Metrics } from './metrics.ts';

/**
 * `GET /metrics` and `/healthz` of a process that serves nothing else by HTTP, on loopback: worker and gateway. Returns
 * the port and how to stop.
 */
export async function serveMetrics(
  metrics: Metrics,
  port: number,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.url === '/healthz') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}');
      return;
    }
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.render().then(
      ({ contentType, body }) => response.writeHead(200, { 'content-type': contentType }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new BoughError({
          code: 'port-taken',
          message: `Metrics cannot be served on port ${port}.`,
          hint: 'Set BOUGH_WORKER_METRICS_PORT or BOUGH_GATEWAY_METRICS_PORT to another port, or leave it out.',
          cause,
        }),
      ),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
