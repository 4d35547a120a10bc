import { described, isEmpty, type Located, type LocatedEntry } from './located.ts';
import type { Place, Relationship } from './manifest.ts';
import type { Report } from './report.ts';
import { mapEntries, openSection, textOf } from './section.ts';

/** A relationship as written; its endpoint is null where the target's default is meant. */
export interface WrittenRelationship {
  readonly name: string;
  readonly target: string;
  readonly endpoint: string | null;
  readonly place: Place;
}

/** Reads all three forms: nothing (`database:`), text (`database: "db:postgresql"`), and `{ service, endpoint }`. */
export function readRelationships(
  report: Report,
  node: Located | undefined,
  title: string,
): readonly WrittenRelationship[] {
  return mapEntries(report, node, `${title}: relationships`).flatMap((entry) => {
    const what = `${title}: relationship "${entry.key}"`;
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(entry.key)) {
      report.problem(
        entry.keyPlace,
        `${what}: the name cannot be part of a host name.`,
        'Use letters, digits, "-" and "_": apps find it at <name>.internal.',
      );
      return [];
    }
    const read = readOne(report, entry, what);
    return read === null ? [] : [read];
  });
}

function readOne(report: Report, entry: LocatedEntry, what: string): WrittenRelationship | null {
  const { key: name, value } = entry;
  const place = isEmpty(value) ? entry.keyPlace : value.place;
  if (isEmpty(value)) return { name, target: name, endpoint: null, place };
  if (value.kind === 'scalar' && typeof value.value === 'string') {
    const [target = '', endpoint, ...more] = value.value.split(':');
    if (target === '' || endpoint === '' || more.length > 0) {
      report.problem(
        place,
        `${what}: "${value.value}" is not understood.`,
        'Write "service:endpoint", as in "db:postgresql".',
      );
      return null;
    }
    return { name, target, endpoint: endpoint ?? null, place };
  }
  if (value.kind !== 'map') {
    report.problem(
      place,
      `${what} cannot be ${described(value)}.`,
      'Write "service:endpoint", or service and endpoint as a map.',
    );
    return null;
  }
  const section = openSection(report, value, {
    title: what,
    acted: ['service', 'endpoint'],
    fallback: place,
  });
  return {
    name,
    target: textOf(report, section.get('service'), `${what}: service`) ?? name,
    endpoint: textOf(report, section.get('endpoint'), `${what}: endpoint`),
    place,
  };
}

/** What a relationship without an endpoint means, by the target's type; apps speak `http`. */
export const defaultEndpoints: Readonly<Record<string, string>> = {
  'chrome-headless': 'http',
  'elasticsearch-enterprise': 'elasticsearch',
  'mongodb-enterprise': 'mongodb',
  'oracle-mysql': 'mysql',
  'redis-persistent': 'redis',
  'valkey-persistent': 'valkey',
  'vault-kms': 'manage_keys',
  clickhouse: 'clickhouse',
  elasticsearch: 'elasticsearch',
  gotenberg: 'http',
  influxdb: 'influxdb',
  kafka: 'kafka',
  mariadb: 'mysql',
  memcached: 'memcached',
  mercure: 'mercure',
  mongodb: 'mongodb',
  mysql: 'mysql',
  opensearch: 'opensearch',
  postgresql: 'postgresql',
  rabbitmq: 'rabbitmq',
  redis: 'redis',
  solr: 'solr',
  valkey: 'valkey',
  varnish: 'http',
};

export function resolved(
  relationship: WrittenRelationship,
  target: { kind: 'app' } | { kind: 'service'; type: string },
): Relationship {
  const fallback = target.kind === 'app' ? 'http' : (defaultEndpoints[target.type] ?? target.type);
  return {
    name: relationship.name,
    target: relationship.target,
    endpoint: relationship.endpoint ?? fallback,
  };
}
