import { BoughError } from '@bough/domain/bough-error';
import { shortHash } from '@bough/domain/names';
import { buildScript } from './build-script.ts';
import { canonicalDigest } from './canonical-json.ts';
import type { App, Manifest, MountEntry, ServiceEntry } from './manifest.ts';
import type {
  Plan,
  PlanCommon,
  PlannedApp,
  PlannedMount,
  PlannedService,
  PlannedToolchain,
  PlanOverlay,
} from './plan.ts';
import { planRoutes, resolveHosts } from './plan-routes.ts';

/** Enough for a Node process that serves a page; `size` says otherwise. */
const MEMORY_MIB = 512;

/** The toolchain that a service runs on: `postgresql:17`. The driver's word, passed in because drivers are above us. */
export type ServiceToolchain = (service: ServiceEntry) => string;

export interface CompileOptions {
  readonly kind: PlanOverlay['kind'];
  /** Of the environment, without a host: `pr-7--shop`. */
  readonly slug: string;
  /** `http://*.localhost:8080`. */
  readonly previewUrl: string;
  /** What each of `toolchainsOf` is, exactly. */
  readonly versions: ReadonlyMap<string, { readonly version: string; readonly digest: string }>;
  readonly serviceToolchain: ServiceToolchain;
}

/** Every toolchain that the manifest needs, once, sorted. */
export function toolchainsOf(manifest: Manifest, serviceToolchain: ServiceToolchain): string[] {
  const wants = [
    ...manifest.apps.flatMap((app) => app.toolchains),
    ...manifest.services.map(serviceToolchain),
  ];
  return [...new Set(wants)].sort();
}

/**
 * Compiles the manifest for one environment. Pure: the same arguments give the same bytes, and the order in which the
 * manifest names things changes nothing, except which of several routes is primary when none says so.
 */
export function compilePlan(manifest: Manifest, options: CompileOptions): Plan {
  const common: PlanCommon = {
    apps: byName(manifest.apps).map((app) => planApp(app, options)),
    services: byName(manifest.services).map((service) => planService(service, options)),
    routes: planRoutes(manifest),
  };
  return { common, overlay: overlayOf(common, options), fingerprint: canonicalDigest(common) };
}

function overlayOf(common: PlanCommon, options: CompileOptions): PlanOverlay {
  const production = options.kind === 'production';
  return {
    kind: options.kind,
    hosts: resolveHosts(common.routes, options),
    fsync: production,
    crons: production ? 'on' : 'off',
    memoryMib: Object.fromEntries(common.apps.map((app) => [app.name, app.limits.memoryMib])),
  };
}

function planApp(app: App, options: CompileOptions): PlannedApp {
  return {
    name: app.name,
    type: app.type,
    toolchains: app.toolchains.map((want) => exact(want, options, `app "${app.name}"`)),
    root: app.root,
    build: buildScript(app),
    deployHook: app.hooks.deploy,
    postDeployHook: app.hooks.postDeploy,
    web: planWeb(app),
    workers: byName(app.workers).map((worker) => ({
      name: worker.name,
      start: worker.start,
      relationships: byName(worker.relationships),
      mounts: planMounts(worker.mounts, app.name, `${app.name}/${worker.name}`),
      env: worker.env,
    })),
    relationships: byName(app.relationships),
    mounts: planMounts(app.mounts, app.name, app.name),
    env: app.env,
    otherVariables: app.otherVariables,
    limits: { memoryMib: app.memoryMib ?? MEMORY_MIB },
  };
}

function planWeb(app: App): PlannedApp['web'] {
  if (app.web === null || app.web.start === null) return null;
  return { ...app.web, start: app.web.start };
}

function planMounts(mounts: readonly MountEntry[], app: string, instance: string): PlannedMount[] {
  return mounts
    .map((mount): PlannedMount => {
      const source = mount.source === 'service' ? 'storage' : mount.source;
      const owner = mount.service ?? app;
      if (source === 'storage')
        return { path: mount.path, source, volume: volumeName(owner, mount.sourcePath) };
      return { path: mount.path, source, volume: volumeName(`${instance}.${source}`, mount.path) };
    })
    .sort((left, right) => (left.path < right.path ? -1 : 1));
}

/**
 * `web:uploads`. Volume ids are slugs of it, in which `web:x-y` and `web-x:y` are the same; so whatever is not a plain
 * word gets a hash, lest two apps find each other's files.
 */
function volumeName(owner: string, path: string): string {
  const name = `${owner}:${path}`;
  return /^[a-z0-9]+:[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name) ? name : `${name}~${shortHash(name)}`;
}

function planService(service: ServiceEntry, options: CompileOptions): PlannedService {
  const { name, type, version, configuration } = service;
  const toolchain = exact(options.serviceToolchain(service), options, `service "${name}"`);
  return { name, type, version, toolchain, configuration };
}

function exact(want: string, options: CompileOptions, what: string): PlannedToolchain {
  const resolved = options.versions.get(want);
  if (resolved !== undefined) return { want, version: resolved.version, digest: resolved.digest };
  throw new BoughError({
    code: 'toolchain-unresolved',
    message: `${what} needs "${want}", whose exact version is not known.`,
    hint: 'This is a mistake in Bough: every toolchain is resolved before a plan is compiled.',
  });
}

function byName<T extends { readonly name: string }>(list: readonly T[]): T[] {
  return [...list].sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0));
}
