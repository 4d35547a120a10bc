import type { App, Manifest, Relationship, ServiceEntry, Worker } from './manifest.ts';
import { where } from './parse-yaml.ts';
import type { WrittenApp } from './read-app.ts';
import { defaultEndpoints, resolved, type WrittenRelationship } from './read-relationships.ts';
import type { WrittenRoute } from './read-route.ts';
import type { Report } from './report.ts';
import { meant } from './suggest.ts';

/** Endpoints that a type has besides its default one. */
const furtherEndpoints: Readonly<Record<string, readonly string[]>> = {
  postgresql: ['postgresql-replica'],
  'oracle-mysql': ['mysqlx'],
  clickhouse: ['clickhouse-http'],
  varnish: ['http+stats'],
};

/** Matches apps, services and routes with one another; the apps come back with their relationships' endpoints filled in. */
export function checkReferences(
  report: Report,
  written: {
    readonly apps: readonly WrittenApp[];
    readonly services: readonly ServiceEntry[];
    readonly routes: readonly WrittenRoute[];
  },
): Pick<Manifest, 'apps' | 'routes'> {
  checkNames(report, written.apps, written.services);
  const apps = written.apps.map((app): App => {
    const match = (relationships: readonly WrittenRelationship[], title: string) =>
      relationships.flatMap((one) => matchRelationship(report, one, title, written));
    return {
      ...app,
      relationships: match(app.relationships, `app "${app.name}"`),
      workers: app.workers.map(
        (worker): Worker => ({
          ...worker,
          relationships: match(worker.relationships, `app "${app.name}": worker "${worker.name}"`),
        }),
      ),
    };
  });
  checkCycles(report, apps);
  checkMountServices(report, apps, written.services);
  checkRoutes(report, written.routes, apps);
  return { apps, routes: written.routes.map(({ route }) => route) };
}

function checkNames(report: Report, apps: readonly WrittenApp[], services: readonly ServiceEntry[]): void {
  for (const service of services) {
    const app = apps.find(({ name }) => name === service.name);
    if (app === undefined) continue;
    report.problem(
      service.place,
      `"${service.name}" is both a service here and an app at ${where(app.place)}.`,
      'Rename one of them; renaming a service makes a new, empty one.',
    );
  }
}

function matchRelationship(
  report: Report,
  relationship: WrittenRelationship,
  title: string,
  written: { readonly apps: readonly WrittenApp[]; readonly services: readonly ServiceEntry[] },
): Relationship[] {
  const service = written.services.find(({ name }) => name === relationship.target);
  if (service !== undefined) {
    const matched = resolved(relationship, { kind: 'service', type: service.type });
    checkEndpoint(report, relationship, matched, service, title);
    return [matched];
  }
  if (written.apps.some(({ name }) => name === relationship.target)) {
    const matched = resolved(relationship, { kind: 'app' });
    if (matched.endpoint === 'http') return [matched];
    report.problem(
      relationship.place,
      `${title}: relationship "${relationship.name}": an app has no endpoint "${matched.endpoint}".`,
      `Write "${relationship.target}:http".`,
    );
    return [];
  }
  const names = [...written.services, ...written.apps].map(({ name }) => name);
  report.problem(
    relationship.place,
    `${title}: relationship "${relationship.name}": there is no service or app "${relationship.target}".`,
    `${meant(relationship.target, names)} Services are declared under "services:".`,
  );
  return [];
}

function checkEndpoint(
  report: Report,
  written: WrittenRelationship,
  matched: Relationship,
  service: ServiceEntry,
  title: string,
): void {
  const standard = defaultEndpoints[service.type];
  if (standard === undefined) return;
  const declared = service.configuration.endpoints;
  const own = typeof declared === 'object' && declared !== null ? Object.keys(declared) : [];
  const known = [...(own.length > 0 ? own : [standard]), ...(furtherEndpoints[service.type] ?? [])];
  if (known.includes(matched.endpoint)) return;
  report.problem(
    written.place,
    `${title}: relationship "${written.name}": service "${service.name}" has no endpoint "${matched.endpoint}".`,
    `Write "${service.name}:${known[0]}".`,
  );
}

function checkCycles(report: Report, apps: readonly App[]): void {
  const targets = (app: App) =>
    apps.filter((other) =>
      [...app.relationships, ...app.workers.flatMap((worker) => worker.relationships)].some(
        (relationship) => relationship.target === other.name,
      ),
    );
  const done = new Set<App>();
  const visit = (app: App, path: readonly App[]): void => {
    const start = path.indexOf(app);
    if (start >= 0) {
      const circle = [...path.slice(start), app].map(({ name }) => name).join(' → ');
      report.problem(
        app.place,
        `Apps need each other in a circle: ${circle}.`,
        'Remove one of these relationships: each app is started after those that it needs.',
      );
      return;
    }
    if (done.has(app)) return;
    for (const target of targets(app)) visit(target, [...path, app]);
    done.add(app);
  };
  for (const app of apps) visit(app, []);
}

function checkMountServices(report: Report, apps: readonly App[], services: readonly ServiceEntry[]): void {
  for (const app of apps) {
    for (const mount of [...app.mounts, ...app.workers.flatMap((worker) => worker.mounts)]) {
      if (mount.service === null) continue;
      const names = (mount.source === 'service' ? services : [...services, ...apps]).map(({ name }) => name);
      if (names.includes(mount.service)) continue;
      report.problem(
        app.place,
        `app "${app.name}": mount "${mount.path}": there is no service or app "${mount.service}".`,
        meant(mount.service, names),
      );
    }
  }
}

function checkRoutes(report: Report, routes: readonly WrittenRoute[], apps: readonly App[]): void {
  const seen = new Map<string, WrittenRoute>();
  for (const written of routes) {
    const { route } = written;
    const earlier = seen.get(route.pattern);
    if (earlier !== undefined) {
      report.problem(
        written.place,
        `route "${route.pattern}" is written twice; the first is at ${where(earlier.place)}.`,
        'Keep one of them.',
      );
    }
    seen.set(route.pattern, written);
    if (route.kind === 'upstream') checkUpstream(report, written, apps);
  }
  const primaries = routes.filter(({ route }) => route.primary);
  for (const extra of primaries.slice(1)) {
    report.problem(
      extra.place,
      `route "${extra.route.pattern}": another route is primary already.`,
      'Keep "primary: true" on one route.',
    );
  }
}

function checkUpstream(report: Report, written: WrittenRoute, apps: readonly App[]): void {
  const { route, toPlace } = written;
  const app = apps.find(({ name }) => name === route.to);
  if (app === undefined) {
    report.problem(
      toPlace,
      `route "${route.pattern}": there is no app "${route.to}".`,
      meant(
        route.to,
        apps.map(({ name }) => name),
      ),
    );
  } else if ((app.web?.start ?? null) === null) {
    report.note(
      toPlace,
      `route "${route.pattern}": app "${route.to}" has no web.commands.start, so nothing answers there.`,
      'Add a command that listens on $PORT.',
    );
  }
}
