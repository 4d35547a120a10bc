import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  /** Starts at zero for every combination of the label values named, so that a rate is there before the first event. */
  counter<Label extends string>(spec: CounterSpec<Label>): Counter<Label>;
  histogram<Label extends string>(spec: HistogramSpec<Label>): Histogram<Label>;
  gauge<Label extends string>(spec: GaugeSpec<Label>): Gauge<Label>;
  /** The body of `GET /metrics`. */
  render(): Promise<{ contentType: string; body: string }>;
}

export interface CounterSpec<Label extends string> {
  /** `bough_deliveries_total`: prefix, thing, unit. */
  readonly name: string;
  readonly help: string;
  /** Every value that each label can have. A label whose values are not known beforehand does not belong here. */
  readonly values?: Readonly<Record<Label, readonly string[]>> | undefined;
}

export interface HistogramSpec<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[] | undefined;
  readonly buckets: readonly number[];
}

export interface GaugeSpec<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[] | undefined;
  /** Asked at each scrape. */
  readonly collect?: ((gauge: Gauge<Label>) => Promise<void> | void) | undefined;
}

/** A registry of its own for each process of Bough, with Node's own metrics under `bough_`. */
export function createMetrics(process: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ process });
  collectDefaultMetrics({ register: registry, prefix: 'bough_' });
  return {
    registry,
    counter(spec) {
      const labelNames = labelsOf(spec);
      const counter = new Counter({ name: spec.name, help: spec.help, labelNames, registers: [registry] });
      for (const labels of combinations(labelNames, spec.values)) counter.inc(labels, 0);
      return counter;
    },
    histogram(spec) {
      const labelNames = [...(spec.labels ?? [])];
      const buckets = [...spec.buckets];
      return new Histogram({ name: spec.name, help: spec.help, labelNames, buckets, registers: [registry] });
    },
    gauge(spec) {
      const { collect } = spec;
      const gauge: Gauge<string> = new Gauge({
        name: spec.name,
        help: spec.help,
        labelNames: [...(spec.labels ?? [])],
        registers: [registry],
        ...(collect ? { collect: () => collect(gauge) } : {}),
      });
      return gauge;
    },
    async render() {
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

function labelsOf<Label extends string>(spec: CounterSpec<Label>): Label[] {
  return Object.keys(spec.values ?? {}) as Label[];
}

function combinations<Label extends string>(
  labels: readonly Label[],
  values: CounterSpec<Label>['values'],
): Partial<Record<Label, string>>[] {
  return labels.reduce<Partial<Record<Label, string>>[]>(
    (rows, label) =>
      rows.flatMap((row) => (values?.[label] ?? []).map((value) => ({ ...row, [label]: value }))),
    [{}],
  );
}
