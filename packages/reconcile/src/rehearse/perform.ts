import type { Environment } from '@bough/domain/environment';
import {
  type Measurement,
  type RehearsalCheck,
  RehearsalReport,
  type RehearsalVerdict,
} from '@bough/domain/rehearsal';
import { hottestTables } from '@bough/rehearse/hottest-tables';
import { listDatabases } from '@bough/rehearse/list-databases';
import { measureMariadbMigration } from '@bough/rehearse/mariadb/measure-migration';
import { measureMigration } from '@bough/rehearse/measure-migration';
import { judge } from '@bough/rehearse/verdict';
import { sanitizeLabel } from '@bough/sanitize/policy-digest';
import { listDeploymentArtifacts } from '@bough/store/deployments';
import { findEnvironment } from '@bough/store/environments';
import { findRehearsalByKey } from '@bough/store/rehearsals';
import { findSnapshot, newestFrozenSnapshot, type SnapshotRow } from '@bough/store/snapshots';
import { AttestedSnapshot } from '../data/attestation.ts';
import { goldenCredentials } from '../data/golden-credentials.ts';
import type { PlannedRun, StepVoice } from '../deploy/run.ts';
import { credentialsOf, declarationOf, serviceWorkloadId } from '../deploy/services.ts';
import { repositoryOf } from '../observe.ts';
import { type Policy, readPolicyAt } from '../policy.ts';
import { askPreviousRelease, findPreviousRelease } from './previous-release.ts';
import { rehearsalKey } from './rehearsal-key.ts';
import { openRehearsalStage, type RehearsalStage, type StagedService } from './rehearsal-stage.ts';
import { type HookOutcome, runHooksOn } from './run-hooks.ts';

export interface RehearsalResult {
  readonly key: string | null;
  readonly snapshotId: string | null;
  readonly verdict: RehearsalVerdict;
  readonly report: RehearsalReport;
  readonly reusedId: string | null;
}

const network = 'nothing but the services of the clone';
const unasked: RehearsalCheck = { verdict: 'not measured', note: 'the hook did not come so far' };

export function notMeasured(reason: string, stallBudgetMs = 0): RehearsalReport {
  const nothing: RehearsalCheck = { verdict: 'not measured', note: reason };
  return {
    ...{ verdict: 'not measured', reasons: [reason], stallBudgetMs, golden: null, network: null, tail: [] },
    ...{ services: {}, hook: nothing, again: nothing, previous: nothing },
  };
}

/** The whole rehearsal of a release's deploy hooks, or the result of an equal one. Leaves its clones to be removed. */
export async function perform(run: PlannedRun, voice: StepVoice): Promise<RehearsalResult> {
  const policy = await policyOf(run);
  const rehearsal = policy?.data?.rehearsal;
  const refuse = (reason: string): RehearsalResult => ({
    ...{ key: null, snapshotId: null, reusedId: null, verdict: 'not measured' },
    report: notMeasured(reason, rehearsal?.stallBudgetMs),
  });
  if (policy?.data === undefined || policy.data === null || rehearsal?.enabled !== true)
    return refuse('the default branch does not ask for rehearsals any more');
  if (!run.plan.common.services.some(({ type }) => watchers.has(type)))
    return refuse('the project has no PostgreSQL or MariaDB service, and only these can be watched');
  const source = await goldenOf(run, sanitizeLabel(policy.data.sanitize));
  if ('reason' in source) return refuse(source.reason);

  const artifacts = new Map(
    (await listDeploymentArtifacts(run.context.pool, run.deployment.id)).map(({ app, key }) => [app, key]),
  );
  const { stallBudgetMs } = rehearsal;
  const key = rehearsalKey(run, {
    ...{ artifacts, stallBudgetMs, snapshotId: source.snapshot.id },
    previousDeploymentId: source.parent?.releaseDeploymentId ?? null,
  });
  const same = await findRehearsalByKey(run.context.pool, key);
  const known = same && RehearsalReport.safeParse(same.report);
  if (same !== undefined && known?.success === true) {
    voice.line(`the same hook was rehearsed on the same data before: rehearsal ${same.id}`);
    const { verdict } = known.data;
    return { key, snapshotId: same.snapshotId, verdict, report: known.data, reusedId: same.id };
  }
  const seen = await rehearseOn(run, { ...source, artifacts }, voice);
  if ('reason' in seen) return refuse(seen.reason);
  const judged = judge({ ...seen, stallBudgetMs });
  voice.line([judged.verdict, ...judged.reasons].join(': '));
  const { id, capturedAt, sanitize } = source.snapshot;
  const golden = { snapshotId: id, capturedAt: capturedAt?.toISOString() ?? null, sanitize };
  const report: RehearsalReport = { ...judged, ...seen, stallBudgetMs, golden, network };
  return { key, snapshotId: id, verdict: judged.verdict, report, reusedId: null };
}

interface Source {
  readonly snapshot: SnapshotRow;
  readonly golden: AttestedSnapshot;
  /** The environment whose data it is; null when production runs elsewhere. */
  readonly parent: Environment | null;
}

async function policyOf(run: PlannedRun): Promise<Policy | null> {
  const { context, project, environment, mirror, lock } = run;
  if (environment.policyCommit === null) return null;
  const at = { mirror, commit: environment.policyCommit, signal: lock.signal };
  await context.forge(project.forge).fetch(repositoryOf(project), at);
  return await readPolicyAt(context, at);
}

/** The newest golden of what the preview's own data came from. */
async function goldenOf(run: PlannedRun, sanitize: string): Promise<Source | { reason: string }> {
  const { context, environment } = run;
  const own =
    environment.dataSnapshotId === null
      ? undefined
      : await findSnapshot(context.pool, environment.dataSnapshotId);
  if (own === undefined)
    return {
      reason: `there is no golden snapshot to try it on: ${environment.dataNote ?? 'the preview has no clone'}`,
    };
  const snapshot = (await newestFrozenSnapshot(context.pool, own.projectId)) ?? own;
  const golden = AttestedSnapshot.verify(context.attestationKeys, snapshot, { sanitize });
  const parent =
    snapshot.environmentId === null ? undefined : await findEnvironment(context.pool, snapshot.environmentId);
  return { snapshot, golden, parent: parent ?? null };
}

type Seen = Pick<RehearsalReport, 'services' | 'hook' | 'again' | 'previous' | 'tail'>;

async function rehearseOn(
  run: PlannedRun,
  source: Source & { artifacts: ReadonlyMap<string, string> },
  voice: StepVoice,
): Promise<Seen | { reason: string }> {
  const { golden, parent, artifacts } = source;
  const inherited = goldenCredentials(run.context.encryption, source.snapshot);
  const stage = await openRehearsalStage(run, { name: 'main', golden, inherited }, voice);
  const watched = stage.services.filter(
    ({ isCloned, declaration }) => isCloned && watchers.has(declaration.type),
  );
  if (watched.length === 0)
    return {
      reason:
        'the golden snapshot has no data of PostgreSQL or MariaDB that these services could start on, so there is nothing to try it on',
    };
  await run.context.faultPoint?.({
    ...{ slug: run.environment.slug, point: 'during-rehearsal', signal: run.lock.signal },
  });
  let hook: HookOutcome = { ...unasked, tail: [] };
  const services = await watch(run, { watched, parent }, async () => {
    hook = await runHooksOn(run, stage, { artifacts, time: 'first' }, voice);
  });
  const outcome = { ...hook } as HookOutcome;
  const result = (over: Pick<Seen, 'again' | 'previous'>): Seen => ({
    services,
    hook: { verdict: outcome.verdict, note: outcome.note },
    tail: outcome.tail.slice(-20),
    ...over,
  });
  if (outcome.verdict !== 'pass') return result({ again: unasked, previous: unasked });
  const previous = await askPrevious(run, { stage, source, inherited }, voice);
  const { verdict, note } = await runHooksOn(run, stage, { artifacts, time: 'second' }, voice);
  return result({ previous, again: { verdict, note } });
}

async function askPrevious(
  run: PlannedRun,
  of: { stage: RehearsalStage; source: Source; inherited: ReturnType<typeof goldenCredentials> },
  voice: StepVoice,
): Promise<RehearsalCheck> {
  const previous = await findPreviousRelease(run, of.source.parent);
  if ('reason' in previous) return { verdict: 'not measured', note: previous.reason };
  const openControl = () =>
    openRehearsalStage(run, { name: 'control', golden: of.source.golden, inherited: of.inherited }, voice);
  return await askPreviousRelease(previous, of.stage, openControl, voice);
}

/** Observers on each database, one around the other, and the hook inside them all. */
async function watch(
  run: PlannedRun,
  of: { watched: readonly StagedService[]; parent: Environment | null },
  work: () => Promise<void>,
): Promise<Record<string, Measurement>> {
  const [service, ...others] = of.watched;
  const watcher = service && watchers.get(service.declaration.type);
  if (service === undefined || watcher === undefined) {
    await work();
    return {};
  }
  let inner: Record<string, Measurement> = {};
  const measurement = await watcher({ run, service, parent: of.parent }, async () => {
    inner = await watch(run, { ...of, watched: others }, work);
  });
  return { [service.declaration.name]: measurement, ...inner };
}

interface Watched {
  readonly run: PlannedRun;
  readonly service: StagedService;
  readonly parent: Environment | null;
}

type Watcher = (of: Watched, work: () => Promise<void>) => Promise<Measurement>;

/** By the type of the service. */
const watchers: ReadonlyMap<string, Watcher> = new Map([
  ['postgresql', watchPostgres],
  ['mariadb', watchMariadb],
  ['mysql', watchMariadb],
]);

async function watchPostgres({ run, service, parent }: Watched, work: () => Promise<void>) {
  const server = loginOf(service);
  return await measureMigration({
    server,
    databases: await listDatabases(server, firstDatabaseOf(service)),
    hottest: await hottestOf(run, parent, service.declaration.name),
    log: (signal) => run.context.engine.logs(service.workloadId, { lines: 0, follow: true, signal }),
    run: work,
  });
}

/** Which tables production asks most it does not count, so that size decides. */
async function watchMariadb({ service }: Watched, work: () => Promise<void>) {
  return await measureMariadbMigration({
    server: loginOf(service),
    schema: firstDatabaseOf(service),
    run: work,
  });
}

function loginOf({ address, credentials: { username, password } }: StagedService) {
  return { ...address, username, password };
}

function firstDatabaseOf({ endpoints }: StagedService): string {
  return Object.values(endpoints)[0]?.path ?? 'main';
}

/** Which tables production asks most. It is asked for counters only; where it cannot be, size decides. */
async function hottestOf(run: PlannedRun, parent: Environment | null, name: string): Promise<string[]> {
  if (parent === null) return [];
  const planned = run.plan.common.services.find((service) => service.name === name);
  const at = { context: run.context, environment: parent };
  const running = await run.context.engine.observe(serviceWorkloadId(at, name));
  if (planned === undefined || running?.address === undefined) return [];
  const { username, password } = await credentialsOf({ ...run, environment: parent }, declarationOf(planned));
  return await hottestTables({ ...running.address, username, password }).catch(() => []);
}
