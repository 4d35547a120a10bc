import type { Metrics } from '@bough/boot/metrics';
import { type Cause, causes } from './cause.ts';
import type { GatewayMetrics, VisitOutcome } from './gateway-metrics.ts';

/** The gateway's counters, one per outcome, all there from the start. */
export function prometheusMetrics(metrics: Metrics): GatewayMetrics {
  const outcomes: VisitOutcome[] = [
    'proxied',
    'upgraded',
    'redirected',
    'health',
    'cut',
    'abandoned',
    ...(Object.keys(causes) as Cause[]),
  ];
  const visits = metrics.counter({
    name: 'bough_gateway_visits_total',
    help: 'Requests by how they ended.',
    values: { outcome: outcomes },
  });
  const durations = metrics.histogram({
    name: 'bough_gateway_visit_seconds',
    help: 'From the request’s head to the end of the answer.',
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60],
  });
  const dropped = metrics.counter({
    name: 'bough_gateway_dropped_total',
    help: 'Connections over the bound.',
    values: {},
  });
  let heldNow = 0;
  metrics.gauge({
    name: 'bough_gateway_held',
    help: 'Requests held just now while a release is swapped.',
    collect: (gauge) => gauge.set(heldNow),
  });
  return {
    visit(outcome, durationMs) {
      visits.inc({ outcome });
      durations.observe(durationMs / 1_000);
    },
    held(count) {
      heldNow = count;
    },
    dropped: () => dropped.inc(),
  };
}
