import { canonicalDigest } from '@bough/manifest/canonical-json';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import { newMark } from '../canaries.ts';
import { compareCounts, totalRows } from '../counts.ts';
import { decide, type MaskingPlan } from '../decide.ts';
import type { Finding } from '../finding.ts';
import { addDetected, addReports, type DatabaseReport, decisionsOf } from '../report.ts';
import type { SanitizeResult, SanitizeStage } from '../sanitize-cluster.ts';
import type { PrivateServer } from '../session.ts';
import { type Canaries, plantCanaries, removeCanaries } from './canaries.ts';
import { crossReferences, readCatalogues, systemSchemas } from './catalogue.ts';
import { copyTable } from './copy-table.ts';
import { type Counts, countTables } from './counts.ts';
import { type Definitions, makePrograms, makeTables, readDefinitions } from './definitions.ts';
import type { MaskContext } from './mask-value.ts';
import { permutationSize } from './permute.ts';
import { id, qualified } from './quote.ts';
import { countOrphans, removeRows } from './remove-rows.ts';
import { takeSamples } from './samples.ts';
import { type Session, withoutValues, withSession } from './session.ts';
import { type Verification, verifyServer } from './verify.ts';
import { verifyDefinitions, withoutComments } from './verify-definitions.ts';

/**
 * Masks every schema of a private MariaDB into an empty one, and verifies that. No raw row ever is in the second one, so
 * nothing has to be scrubbed out of its undo log, redo log, freed pages and statistics; the first is thrown away. The
 * caller then stops the second cleanly and calls `scanFiles` for the needles: only then is it proved.
 */
export async function sanitizeInto(of: {
  /** The captured copy; it is changed. */
  source: PrivateServer;
  /** Fresh, with the accounts of its manifest. */
  target: PrivateServer;
  policy: SanitizePolicy;
  key: Buffer;
  signal: AbortSignal;
  line: (text: string) => void;
  at?: (stage: SanitizeStage) => Promise<void>;
}): Promise<SanitizeResult> {
  return withSession(of.source, of.signal, async (from) => {
    await of.at?.('deciding');
    const decided = await decideAll(from, of.policy);
    const { used } = decided;
    if (decided.findings.length > 0) return { kind: 'findings', findings: decided.findings, used };
    const definitions = withoutComments(await readDefinitions(from), decided.plans);
    await dropTriggers(from);
    await of.at?.('sampling');
    const mark = newMark();
    const sources = new Map<MaskingPlan, Prepared>();
    for (const plan of decided.plans) sources.set(plan, await prepare(from, plan, mark));
    const samples = new Set([...sources.values()].flatMap((one) => one.samples));
    const context: MaskContext = { key: of.key, sizes: await permutationSizes(from, decided.plans) };
    const findings = verifyDefinitions(definitions, decided.plans, samples);
    if (findings.length > 0) return { kind: 'findings', findings, used };
    const reports: DatabaseReport[] = [];
    await withSession(of.target, of.signal, async (to) => {
      await of.at?.('masking');
      await makeTables(to, definitions);
      for (const plan of decided.plans) await maskSchema(from, to, { ...of, plan, context });
      await of.at?.('verifying');
      const seen = await verifyServer(to, { plans: decided.plans, mark, samples });
      for (const [plan, prepared] of sources) {
        const checked = await checkSchema(to, { plan, prepared, context, seen: seen.get(plan.database) });
        findings.push(...checked.findings);
        reports.push(checked.report);
      }
      await moveCounters(to, definitions, decided.plans, context);
      for (const view of await makePrograms(to, definitions))
        of.line(`${view}: the view reads what is not there, in production too, and is left out`);
    });
    const report = addReports(reports);
    if (report.tables > 0 && report.rowsScanned === 0) findings.push(nothingScanned);
    if (findings.length > 0) return { kind: 'findings', findings, used };
    return {
      kind: 'sanitized',
      report,
      schemaDigest: canonicalDigest(decided.catalogues),
      used,
      needles: [mark, ...samples],
      relationFiles: new Set(),
    };
  });
}

async function decideAll(session: Session, policy: SanitizePolicy) {
  const catalogues = await readCatalogues(session);
  const used = new Set<string>();
  const plans: MaskingPlan[] = [];
  const findings: Finding[] = (await crossReferences(session)).map((where) => ({
    code: 'foreign-key',
    where,
    message: 'It refers to a table of another schema, which rules cannot follow.',
    paste: null,
  }));
  for (const catalogue of catalogues) {
    const decision = decide(catalogue, policy);
    for (const key of decision.used) used.add(key);
    if (decision.kind === 'findings') findings.push(...decision.findings);
    else plans.push(decision.plan);
  }
  return { catalogues, used, plans, findings };
}

/** They would fire for planted rows. The copy is private, and the definitions have been read. */
async function dropTriggers(session: Session): Promise<void> {
  const triggers = await session.query<{ s: string; name: string }>(
    `select trigger_schema as s, trigger_name as name from information_schema.triggers
     where trigger_schema not in ${systemSchemas}`,
  );
  for (const { s, name } of triggers) await session.execute(`drop trigger ${id(s)}.${id(name)}`);
}

interface Prepared {
  readonly samples: readonly string[];
  readonly counts: Counts;
  readonly orphans: ReadonlyMap<string, string>;
  readonly canaries: Canaries;
}

async function prepare(session: Session, plan: MaskingPlan, mark: string): Promise<Prepared> {
  const step = (name: string) => (error: unknown) => {
    throw withoutValues(error, `${name} ${plan.database}`);
  };
  await session.execute(`use ${id(plan.database)}`);
  const samples = await takeSamples(session, plan).catch(step('sampling'));
  await removeRows(session, plan).catch(step('removing rows of'));
  const counts = await countTables(session, plan).catch(step('counting'));
  const orphans = await countOrphans(session, plan).catch(step('checking references of'));
  const canaries = await plantCanaries(session, plan, mark).catch(step('planting canaries in'));
  return { samples, counts, orphans, canaries };
}

async function permutationSizes(
  session: Session,
  plans: readonly MaskingPlan[],
): Promise<ReadonlyMap<string, bigint>> {
  const largest = new Map<string, bigint>();
  for (const plan of plans) {
    for (const { table, columns, truncate } of plan.tables) {
      for (const { column, rule, domain } of truncate ? [] : columns) {
        if (rule.rule !== 'permuted-id') continue;
        const [row] = await session.query<{ n: string }>(
          `select coalesce(max(${id(column.name)}), 0) as n from ${qualified({ database: plan.database, name: table.name })}`,
        );
        const top = BigInt(row?.n ?? 0);
        const before = largest.get(domain) ?? 0n;
        largest.set(domain, top > before ? top : before);
      }
    }
  }
  return new Map([...largest].map(([domain, top]) => [domain, permutationSize(top)]));
}

async function maskSchema(
  from: Session,
  to: Session,
  of: { plan: MaskingPlan; context: MaskContext; line: (text: string) => void },
): Promise<void> {
  // Rules in SQL speak of tables and functions of their own schema.
  await from.execute(`use ${id(of.plan.database)}`);
  for (const table of of.plan.tables) {
    const started = Date.now();
    const rows = await copyTable(from, to, {
      database: of.plan.database,
      plan: table,
      context: of.context,
    }).catch((error: unknown) => {
      throw withoutValues(error, `masking ${table.display}`);
    });
    of.line(`wrote ${table.display} anew (${rows} rows, ${Date.now() - started} ms)`);
  }
}

async function checkSchema(
  to: Session,
  of: { plan: MaskingPlan; prepared: Prepared; context: MaskContext; seen: Verification | undefined },
): Promise<{ findings: Finding[]; report: DatabaseReport }> {
  const { plan, prepared, seen } = of;
  const findings = [...(seen?.findings ?? [])];
  if (!(await removeCanaries(to, plan.database, prepared.canaries, of.context)))
    findings.push({
      code: 'canary',
      where: plan.database,
      message: 'A planted row was not found again after masking.',
      paste: null,
    });
  findings.push(...compareCounts(prepared.counts, await countTables(to, plan)));
  const orphans = await countOrphans(to, plan);
  for (const [where, count] of prepared.orphans) {
    if (orphans.get(where) === count) continue;
    const message = `${orphans.get(where)} rows refer to nothing after masking, ${count} before.`;
    findings.push({ code: 'foreign-key', where, message, paste: null });
  }
  const columns = plan.tables.flatMap((table) => table.columns);
  const report: DatabaseReport = {
    tables: plan.tables.length,
    columns: columns.length,
    columnsMasked: columns.filter(({ rule }) => rule.rule !== 'keep').length,
    rows: totalRows(prepared.counts),
    columnsScanned: seen?.columns ?? 0,
    rowsScanned: (seen?.rows ?? 0) - prepared.canaries.planted.length,
    canariesPlanted: prepared.canaries.planted.length,
    canaryColumns: prepared.canaries.columns,
    tablesWithoutCanary: prepared.canaries.refused,
    valuesSampled: prepared.samples.length,
    referencesChecked: plan.foreignKeys.length,
    detected: seen?.detected ?? addDetected([]),
    decisions: decisionsOf(plan),
  };
  return { findings, report };
}

/** As production's stand; the planted rows moved them. Permuted numbers go on above all that a permutation can give. */
async function moveCounters(
  to: Session,
  definitions: Definitions,
  plans: readonly MaskingPlan[],
  context: MaskContext,
): Promise<void> {
  for (const { schema, name, sql } of definitions.tables) {
    const counter = /\) ENGINE=.* AUTO_INCREMENT=(\d+)/.exec(sql)?.[1];
    if (counter === undefined) continue;
    const columns = plans
      .find((plan) => plan.database === schema)
      ?.tables.find(({ table }) => table.name === name)?.columns;
    const sizes = (columns ?? []).map(({ rule, domain }) =>
      rule.rule === 'permuted-id' ? (context.sizes.get(domain) ?? 0n) : 0n,
    );
    const next = [BigInt(counter), ...sizes].reduce((a, b) => (a > b ? a : b));
    await to.execute(`alter table ${qualified({ database: schema, name })} auto_increment = ${next}`);
  }
}

const nothingScanned: Finding = {
  code: 'nothing-scanned',
  where: 'all schemas',
  message: 'The verifier read no row at all, which proves nothing.',
  paste: null,
};
