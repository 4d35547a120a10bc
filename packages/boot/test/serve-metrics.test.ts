import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { createMetrics } from '../src/metrics.ts';
import { serveMetrics } from '../src/serve-metrics.ts';

const read = (port: number, path: string) =>
  new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    get({ port, path, host: '127.0.0.1', agent: false }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
    }).once('error', reject);
  });

test('a process without another port shows its counters on one of its own', async () => {
  const metrics = createMetrics('worker');
  const counter = metrics.counter({
    name: 'bough_looks_total',
    help: 'Looks.',
    values: { outcome: ['done', 'again'] },
  });
  counter.inc({ outcome: 'done' }, 2);
  const serving = await serveMetrics(metrics, 0);
  try {
    const { status, body } = await read(serving.port, '/metrics');
    expect(status).toBe(200);
    expect(body).toContain('bough_looks_total{outcome="done",process="worker"} 2');
    expect(body).toContain('bough_looks_total{outcome="again",process="worker"} 0');
    expect((await read(serving.port, '/healthz')).status).toBe(200);
    expect((await read(serving.port, '/else')).status).toBe(404);
    await expect(serveMetrics(metrics, serving.port)).rejects.toMatchObject({ code: 'port-taken' });
  } finally {
    await serving.stop();
  }
});
