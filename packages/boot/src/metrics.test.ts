import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';

test('a counter is there, at zero, before anything has happened', async () => {
  const metrics = createMetrics('worker');
  const counter = metrics.counter({
    name: 'bough_deliveries_total',
    help: 'Deliveries by outcome.',
    values: { outcome: ['stored', 'duplicate'], forge: ['github'] },
  });
  counter.inc({ outcome: 'stored', forge: 'github' });
  const { body, contentType } = await metrics.render();
  expect(contentType).toContain('text/plain');
  expect(body).toContain('bough_deliveries_total{outcome="stored",forge="github",process="worker"} 1');
  expect(body).toContain('bough_deliveries_total{outcome="duplicate",forge="github",process="worker"} 0');
});

test('a counter without labels starts at zero too', async () => {
  const metrics = createMetrics('server');
  metrics.counter({ name: 'bough_resync_corrections_total', help: 'Corrections.' });
  expect((await metrics.render()).body).toContain('bough_resync_corrections_total{process="server"} 0');
});

test('two processes in one have registries of their own', async () => {
  const [one, other] = [createMetrics('server'), createMetrics('worker')];
  one.counter({ name: 'bough_x_total', help: 'x' });
  other.counter({ name: 'bough_x_total', help: 'x' });
  expect((await one.render()).body).not.toContain('process="worker"');
});

test('a gauge is asked at each scrape, a histogram has the buckets given', async () => {
  const metrics = createMetrics('worker');
  let waiting = 3;
  metrics.gauge({ name: 'bough_waiting', help: 'Waiting.', collect: (gauge) => gauge.set(waiting) });
  const histogram = metrics.histogram({
    name: 'bough_step_seconds',
    help: 'Steps.',
    labels: ['step'],
    buckets: [1, 10],
  });
  histogram.observe({ step: 'build' }, 4);
  expect((await metrics.render()).body).toContain('bough_waiting{process="worker"} 3');
  waiting = 5;
  const { body } = await metrics.render();
  expect(body).toContain('bough_waiting{process="worker"} 5');
  expect(body).toMatch(/bough_step_seconds_bucket\{le="10",.*step="build".*\} 1/);
});
