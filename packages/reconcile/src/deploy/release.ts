import { BoughError } from '@bough/domain/bough-error';
import { workloadId } from '@bough/domain/names';
import type { Workload, WorkloadSpec } from '@bough/engine/engine';
import { withEnvironmentFile } from '@bough/manifest/environment-variables';
import type { PlannedApp } from '@bough/manifest/plan';
import type { Context } from '../context.ts';
import { untilReady } from '../probe.ts';
import { secludedWith } from '../trust/untrusted-tier.ts';
import type { Artifacts } from './build.ts';
import type { PlannedRun, StepVoice } from './run.ts';
import { lastLines, type RunningService } from './services.ts';
import { isStopped, isStoppedMeanwhile, stoppedMeanwhile } from './stopped-meanwhile.ts';
import { surroundingsOf } from './surroundings.ts';

/** Web processes by app, once they listen. */
export type WebAddresses = ReadonlyMap<string, { host: string; port: number }>;

/** Starts the new release's workloads beside the old one's and waits until each web process listens. */
export async function startRelease(
  run: PlannedRun,
  with_: { artifacts: Artifacts; services: readonly RunningService[] },
  voice: StepVoice,
): Promise<WebAddresses> {
  const addresses = new Map<string, { host: string; port: number }>();
  const isApp = (name: string) => run.plan.common.apps.some((app) => app.name === name);
  const workers = run.plan.common.apps.flatMap((app) => app.workers.map((worker) => ({ app, worker })));
  const startWorkers = async (needApps: boolean) => {
    for (const { app, worker } of workers) {
      if (worker.relationships.some(({ target }) => isApp(target)) !== needApps) continue;
      const name = `${app.name}/${worker.name}`;
      const what = { app, name, role: 'worker' as const, command: worker.start, part: worker };
      await ensureWorkload(run, { ...what, ...with_, addresses });
      voice.line(`${name}: started`);
    }
  };
  // Workers that need no web process start beside the first one. All are waited for, also when one fails: whoever
  // cleans up after the failure must find everything that was started.
  const [web, beside] = await Promise.allSettled([
    startWebs(run, with_, addresses, voice),
    startWorkers(false),
  ]);
  if (web.status === 'rejected') throw web.reason;
  if (beside.status === 'rejected') throw beside.reason;
  await startWorkers(true);
  return addresses;
}

/** One after the other, those first that others relate to. */
async function startWebs(
  run: PlannedRun,
  with_: { artifacts: Artifacts; services: readonly RunningService[] },
  addresses: Map<string, { host: string; port: number }>,
  voice: StepVoice,
): Promise<void> {
  for (const app of inOrder(run.plan.common.apps)) {
    if (app.web === null) continue;
    const address = await startWeb(run, app, { ...with_, addresses }, voice);
    await runPostStart(run, app, { ...with_, addresses, address }, voice);
    addresses.set(app.name, address);
    voice.line(`${app.name}: listens on port ${address.port}`);
  }
}

/** So often a web process is started that something else stops while it is waited for; then all is tried again later. */
const STARTS_MAX = 3;

async function startWeb(
  run: PlannedRun,
  app: PlannedApp,
  with_: { artifacts: Artifacts; services: readonly RunningService[]; addresses: WebAddresses },
  voice: StepVoice,
): Promise<{ host: string; port: number }> {
  const command = [app.web?.preStart ?? null, app.web?.start ?? null].filter((script) => script !== null);
  const what = { app, name: app.name, role: 'web' as const, command: command.join('\n'), part: app };
  for (let starts = 1; ; starts += 1) {
    const workload = await ensureWorkload(run, { ...what, ...with_ });
    try {
      return await untilListening(run, app, workload);
    } catch (error) {
      if (!isStoppedMeanwhile(error) || starts === STARTS_MAX) throw error;
      voice.line(`${app.name}: something stopped it while it was starting; it is started again`);
    }
  }
}

/** Ids of the workloads that a release consists of. */
export function releaseWorkloadIds(run: PlannedRun): string[] {
  return run.plan.common.apps.flatMap((app) => [
    ...(app.web === null ? [] : [releaseWorkloadId(run, app.name)]),
    ...app.workers.map((worker) => releaseWorkloadId(run, `${app.name}/${worker.name}`)),
  ]);
}

/** Web processes by their words in a sentence. */
export function webWorkloadIds(run: PlannedRun): (readonly [what: string, id: string])[] {
  const webs = run.plan.common.apps.filter(({ web }) => web !== null);
  return webs.map(({ name }) => [`App "${name}"`, releaseWorkloadId(run, name)]);
}

/** What the gateway had taken in for the old release just before the swap gets its answer. */
const DRAIN_MS = 250;

/** Stops every app workload that is not of this release. */
export async function stopOtherReleases(run: PlannedRun): Promise<void> {
  const { context, environment } = run;
  const mine = new Set(releaseWorkloadIds(run));
  const others = (await context.engine.list({ environmentId: environment.id })).filter(
    (workload) =>
      (workload.labels.role === 'web' || workload.labels.role === 'worker') && !mine.has(workload.id),
  );
  if (others.length > 0) await context.clock.sleep(DRAIN_MS, run.lock.signal);
  await Promise.all(others.map((workload) => context.engine.remove(workload.id)));
}

/**
 * Stops the app workloads of all deployments but these. What was overtaken or failed half-way must not go on: its workers
 * would take jobs beside those of the release that serves.
 */
export async function stopReleasesBut(
  context: Context,
  environmentId: string,
  keep: readonly (string | null)[],
): Promise<void> {
  const strays = (await context.engine.list({ environmentId })).filter(
    ({ labels }) =>
      (labels.role === 'web' || labels.role === 'worker') && !keep.includes(labels.release ?? null),
  );
  await Promise.all(strays.map((workload) => context.engine.remove(workload.id)));
}

function releaseWorkloadId(run: PlannedRun, name: string): string {
  return workloadId({
    installationId: run.context.installationId,
    environmentId: run.environment.id,
    name,
    release: run.deployment.id,
  });
}

async function ensureWorkload(
  run: PlannedRun,
  what: {
    app: PlannedApp;
    name: string;
    role: 'web' | 'worker';
    command: string;
    part: Pick<PlannedApp, 'relationships' | 'mounts' | 'env'>;
    artifacts: Artifacts;
    services: readonly RunningService[];
    addresses: WebAddresses;
  },
): Promise<Workload> {
  const { context, lock } = run;
  const { part } = what;
  const surroundings = await surroundingsOf(
    run,
    { app: what.app, relationships: part.relationships, mounts: part.mounts, env: part.env },
    { artifact: what.artifacts.get(what.app.name) ?? '', services: what.services, apps: what.addresses },
  );
  const spec: WorkloadSpec = {
    ...surroundings,
    id: releaseWorkloadId(run, what.name),
    labels: {
      installationId: context.installationId,
      environmentId: run.environment.id,
      role: what.role,
      name: what.name,
      release: run.deployment.id,
    },
    command: withEnvironmentFile(what.command),
    listens: what.role === 'web',
    stopSignal: 'SIGTERM',
    stopGraceMs: 10_000,
  };
  return await context.engine.ensure(spec, { signal: lock.signal });
}

/** An app that died this often before it ever listened is not going to. */
const CRASHES_MAX = 4;

async function untilListening(
  run: PlannedRun,
  app: PlannedApp,
  workload: Workload,
): Promise<{ host: string; port: number }> {
  const { context, lock } = run;
  const { address } = workload;
  if (address === undefined)
    throw new BoughError({
      code: 'app-without-address',
      message: `App "${app.name}" got no port.`,
      retryable: true,
    });
  await untilReady(
    async (signal) => {
      await context.network.accepts(address, signal);
    },
    {
      clock: context.clock,
      timeoutMs: context.deadlines.listenMs,
      signal: lock.signal,
      isHopeless: async () => {
        const now = await context.engine.observe(workload.id);
        return isStopped(now) || (now?.restarts ?? 0) >= CRASHES_MAX;
      },
      onTimeout: async (cause) => {
        const now = await context.engine.observe(workload.id);
        if (isStopped(now)) return stoppedMeanwhile(`App "${app.name}"`);
        const crashed = (now?.restarts ?? 0) > 0;
        return new BoughError({
          code: crashed ? 'app-crashes' : 'app-not-listening',
          message: crashed
            ? `App "${app.name}" exits as soon as it is started (exit code ${now?.lastExitCode ?? 'unknown'}).`
            : `App "${app.name}" did not listen on its port within ${context.deadlines.listenMs / 1000} s.`,
          hint: crashed
            ? `Its last lines are below. ${whatServes(run)}`
            : 'It must listen on the port in $PORT, at 127.0.0.1 or 0.0.0.0. Its last lines are below.',
          tail: await lastLines(run, workload.id),
          cause,
        });
      },
    },
  );
  return address;
}

/** `web.commands.post_start` says whether the app is fit to serve: it runs before the app gets any visitor. */
async function runPostStart(
  run: PlannedRun,
  app: PlannedApp,
  with_: {
    artifacts: Artifacts;
    services: readonly RunningService[];
    addresses: WebAddresses;
    address: { host: string; port: number };
  },
  voice: StepVoice,
): Promise<void> {
  const { context, lock } = run;
  const script = app.web?.postStart ?? null;
  if (script === null) return;
  const surroundings = await surroundingsOf(
    run,
    { app, relationships: app.relationships, mounts: app.mounts, env: app.env },
    {
      artifact: with_.artifacts.get(app.name) ?? '',
      services: with_.services,
      apps: with_.addresses,
    },
  );
  const result = await context.engine.run({
    ...surroundings,
    ...secludedWith(run, [...(surroundings.seclusion?.peers ?? []), with_.address.port]),
    env: { ...surroundings.env, PORT: String(with_.address.port) },
    labels: {
      installationId: context.installationId,
      environmentId: run.environment.id,
      role: 'web',
      name: `${app.name} post_start`,
      release: run.deployment.id,
    },
    command: withEnvironmentFile(script),
    timeoutMs: context.deadlines.listenMs,
    signal: lock.signal,
    onOutput: voice.line,
  });
  lock.signal.throwIfAborted();
  if (result.exitCode === 0) return;
  throw new BoughError({
    code: 'post-start-failed',
    message: `App "${app.name}" started, but its post_start command failed with exit code ${result.exitCode}.`,
    hint: `The last lines are below. ${whatServes(run)}`,
    tail: result.tail,
  });
}

/** The comfort in a failure's hint, where there is one. */
export function whatServes(run: Pick<PlannedRun, 'environment'>): string {
  return run.environment.releaseDeploymentId === null
    ? 'Nothing serves yet.'
    : 'What served before keeps serving.';
}

/** Apps that others relate to come first; the manifest allows no cycles. */
function inOrder(apps: readonly PlannedApp[]): PlannedApp[] {
  const ordered: PlannedApp[] = [];
  const visit = (app: PlannedApp) => {
    if (ordered.includes(app)) return;
    for (const { target } of app.relationships) {
      const other = apps.find((candidate) => candidate.name === target && candidate !== app);
      if (other !== undefined && !ordered.includes(other)) visit(other);
    }
    ordered.push(app);
  };
  for (const app of apps) visit(app);
  return ordered;
}
