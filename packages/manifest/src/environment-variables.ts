import { Secret } from '@bough/domain/secret';
import type { Relationship } from './manifest.ts';
import type { Plan, PlannedApp } from './plan.ts';

export type EnvironmentVariables = Readonly<Record<string, string | Secret>>;

/** A variable that somebody set for the project; plain ones are shown, secret ones stay `Secret`. */
export interface SetVariable {
  readonly name: string;
  readonly value: Secret;
  readonly secret: boolean;
}

interface ProjectVariables {
  readonly slug: string;
  /** Random and stable per project; apps derive their own keys from it. */
  readonly entropy: Secret;
}

/** A relationship and where its other end listens now. `endpoint` has the shape of the service drivers' `Endpoint`. */
export interface RelationshipTarget {
  readonly relationship: Relationship;
  /** `postgresql:17`, or `app`. */
  readonly type: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly endpoint: {
    /** The platform's own word: `pgsql`. */
    readonly scheme: string;
    /** The one that ordinary drivers take: `postgresql`. */
    readonly urlScheme: string;
    readonly username: string;
    readonly password: Secret | null;
    /** Database, vhost or core; without a slash in front. */
    readonly path: string;
    readonly query: Readonly<Record<string, unknown>>;
  };
}

const APP_DIRECTORY = '/app';

/**
 * What a build sees. Nothing of it depends on the environment, or no artifact could be shared. PLATFORM_CACHE_DIR is the
 * engine's to set.
 */
export function buildVariables(inputs: {
  readonly app: PlannedApp;
  readonly project: ProjectVariables;
  readonly treeId: string;
  readonly variables: readonly SetVariable[];
}): EnvironmentVariables {
  const { app } = inputs;
  return {
    ...app.env,
    ...setVariables(inputs.variables),
    ...everywhere(inputs),
    CI: 'true',
    PLATFORM_APPLICATION: encoded(applicationAtBuild(app)),
    PLATFORM_OUTPUT_DIR: APP_DIRECTORY,
    PLATFORM_SOURCE_DIR: APP_DIRECTORY,
  };
}

/** What a web process, a worker or a hook sees. PORT is the engine's to set. */
export function runVariables(inputs: {
  readonly app: PlannedApp;
  /** `variables.env` of what runs: the app's, or those of one of its workers. */
  readonly env: Readonly<Record<string, string>>;
  readonly plan: Plan;
  readonly project: ProjectVariables;
  readonly environment: {
    readonly slug: string;
    readonly kind: 'production' | 'preview' | 'local';
    readonly branch: string;
    readonly commit: string;
    readonly deploymentId: string;
  };
  readonly treeId: string;
  readonly targets: readonly RelationshipTarget[];
  readonly variables: readonly SetVariable[];
}): EnvironmentVariables {
  const { app, plan, environment } = inputs;
  const primary = plan.common.routes.find((route) => route.primary);
  const url = plan.overlay.hosts.find((host) => host.pattern === primary?.pattern)?.url;
  return {
    ...relationshipVariables(inputs.targets),
    ...inputs.env,
    ...setVariables(inputs.variables),
    ...everywhere(inputs),
    BOUGH_COMMIT: environment.commit,
    BOUGH_DEPLOYMENT: environment.deploymentId,
    BOUGH_ENVIRONMENT: environment.slug,
    BOUGH_ENVIRONMENT_KIND: environment.kind,
    BOUGH_FINGERPRINT: plan.fingerprint,
    ...(url === undefined ? {} : { BOUGH_URL: url }),
    PLATFORM_APPLICATION: encoded(applicationAtRun(app)),
    PLATFORM_BRANCH: environment.branch,
    PLATFORM_DOCUMENT_ROOT: documentRoot(app),
    PLATFORM_ENVIRONMENT: environment.slug,
    PLATFORM_ENVIRONMENT_TYPE: environment.kind === 'production' ? 'production' : 'development',
    PLATFORM_RELATIONSHIPS: relationshipsDocument(inputs.targets),
    PLATFORM_ROUTES: encoded(routesDocument(plan)),
    // Empty means that mail is off, as it is everywhere but in production.
    PLATFORM_SMTP_HOST: '',
  };
}

/** Lines for the hosts file: `database.internal` → the other end's address. */
export function relationshipHosts(targets: readonly RelationshipTarget[]): Readonly<Record<string, string>> {
  return Object.fromEntries(targets.map(({ relationship, address }) => [hostOf(relationship), address.host]));
}

/**
 * A dash script that sources the app's `.environment` first, if it has one, so that it has the last word. The engine
 * starts in the app's directory.
 */
export function withEnvironmentFile(command: string): string {
  return `if [ -f ./.environment ]; then . ./.environment; fi\n${command}`;
}

function everywhere(inputs: {
  readonly app: PlannedApp;
  readonly project: ProjectVariables;
  readonly treeId: string;
}): EnvironmentVariables {
  return {
    PLATFORM_APP_DIR: APP_DIRECTORY,
    PLATFORM_APPLICATION_NAME: inputs.app.name,
    PLATFORM_PROJECT: inputs.project.slug,
    PLATFORM_PROJECT_ENTROPY: inputs.project.entropy,
    PLATFORM_TREE_ID: inputs.treeId,
    PLATFORM_VARIABLES: encoded(inputs.app.otherVariables),
  };
}

function setVariables(variables: readonly SetVariable[]): EnvironmentVariables {
  return Object.fromEntries(
    variables.map(({ name, value, secret }) => [name, secret ? value : value.reveal()]),
  );
}

/** Leaves out what does not force a rebuild, so that changing it does not. */
function applicationAtBuild(app: PlannedApp): Record<string, unknown> {
  return {
    name: app.name,
    type: app.type,
    source: { root: `/${app.root}` },
    build: { flavor: app.build.flavor },
    hooks: { build: app.build.hook },
    variables: { env: app.env },
  };
}

function applicationAtRun(app: PlannedApp): Record<string, unknown> {
  return {
    ...applicationAtBuild(app),
    hooks: { build: app.build.hook, deploy: app.deployHook, post_deploy: app.postDeployHook },
    web: app.web === null ? null : { commands: { start: app.web.start }, locations: app.web.locations },
    workers: Object.fromEntries(app.workers.map(({ name, start }) => [name, { commands: { start } }])),
    relationships: Object.fromEntries(
      app.relationships.map(({ name, target, endpoint }) => [name, { service: target, endpoint }]),
    ),
    mounts: Object.fromEntries(app.mounts.map(({ path, source }) => [path, { source }])),
  };
}

function documentRoot(app: PlannedApp): string {
  const location = app.web?.locations['/'];
  const root =
    typeof location === 'object' && location !== null && 'root' in location ? location.root : undefined;
  return typeof root === 'string' && root !== ''
    ? `${APP_DIRECTORY}/${root.replace(/^\/+|\/+$/g, '')}`
    : APP_DIRECTORY;
}

function hostOf(relationship: Relationship): string {
  return `${relationship.name}.internal`;
}

/** `<REL>_HOST` and so on; whatever holds a password is a Secret. */
function relationshipVariables(targets: readonly RelationshipTarget[]): EnvironmentVariables {
  return Object.assign({}, ...targets.map(oneRelationship));
}

function oneRelationship(target: RelationshipTarget): EnvironmentVariables {
  const { relationship, endpoint, address } = target;
  const prefix = relationship.name.toUpperCase().replace(/[^0-9A-Z_]/g, '_');
  const url = endpointUrl(target);
  const values: Record<string, string | Secret> = {
    HOST: hostOf(relationship),
    HOSTNAME: hostOf(relationship),
    IP: address.host,
    PORT: String(address.port),
    SCHEME: endpoint.scheme,
    USERNAME: endpoint.username,
    PASSWORD: endpoint.password ?? '',
    PATH: endpoint.path,
    NAME: endpoint.path,
    QUERY: JSON.stringify(endpoint.query),
    REL: relationship.endpoint,
    SERVICE: relationship.target,
    TYPE: target.type,
    URL: endpoint.password === null ? url : new Secret(url),
  };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}_${name}`, value]));
}

/** A URL that drivers take as it is: `postgresql://main:p%40ss@database.internal:5432/main`. */
function endpointUrl({ relationship, endpoint, address }: RelationshipTarget): string {
  const password = endpoint.password === null ? '' : `:${percentEncoded(endpoint.password.reveal())}`;
  const user = `${percentEncoded(endpoint.username)}${password}`;
  const path = endpoint.path.split('/').map(percentEncoded).join('/');
  const authority = `${user === '' ? '' : `${user}@`}${hostOf(relationship)}:${address.port}`;
  return `${endpoint.urlScheme}://${authority}${path === '' ? '' : `/${path}`}`;
}

function percentEncoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function relationshipsDocument(targets: readonly RelationshipTarget[]): string | Secret {
  const document = Object.fromEntries(
    targets.map(({ relationship, type, address, endpoint }) => [
      relationship.name,
      [
        {
          host: hostOf(relationship),
          hostname: hostOf(relationship),
          ip: address.host,
          port: address.port,
          scheme: endpoint.scheme,
          rel: relationship.endpoint,
          service: relationship.target,
          type,
          path: endpoint.path,
          username: endpoint.username,
          password: endpoint.password?.reveal() ?? null,
          query: endpoint.query,
          fragment: null,
          public: false,
          host_mapped: false,
        },
      ],
    ]),
  );
  const text = encoded(document);
  return targets.some(({ endpoint }) => endpoint.password !== null) ? new Secret(text) : text;
}

/** Resolved URL → route, as PLATFORM_ROUTES has it. */
function routesDocument(plan: Plan): Record<string, unknown> {
  return Object.fromEntries(
    plan.overlay.hosts.flatMap((host) => {
      const route = plan.common.routes.find(({ pattern }) => pattern === host.pattern);
      if (route === undefined) return [];
      const { primary, id, attributes, kind, pattern } = route;
      const target = kind === 'upstream' ? { upstream: route.to } : { to: host.redirectTo ?? route.to };
      return [[host.url, { primary, id, attributes, type: kind, ...target, original_url: pattern }]];
    }),
  );
}

function encoded(document: unknown): string {
  return Buffer.from(JSON.stringify(document)).toString('base64');
}
