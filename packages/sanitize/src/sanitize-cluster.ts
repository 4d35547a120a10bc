import { availableParallelism } from 'node:os';
import { canonicalDigest } from '@bough/manifest/canonical-json';
import type { SanitizePolicy } from '@bough/manifest/sanitize-policy';
import type { Client } from 'pg';
import { newMark, plantCanaries, removeCanaries } from './canaries.ts';
import { type Catalogue, readCatalogue } from './catalogue.ts';
import { compareCounts, countTables, totalRows } from './counts.ts';
import { decide, type MaskingPlan, type TablePlan } from './decide.ts';
import type { Finding } from './finding.ts';
import { maskTables } from './mask-tables.ts';
import {
  dropReferences,
  moveSequences,
  preparedSettings,
  prepareStatements,
  refreshViews,
  removeOrphans,
  removeRows,
  rowFunctions,
} from './masking-sql.ts';
import { addReports, type DatabaseReport, decisionsOf, type MaskingReport } from './report.ts';
import { takeSamples } from './samples.ts';
import { listRelationFiles, scrubDatabase, scrubLog } from './scrub.ts';
import {
  type PrivateServer,
  runStatements,
  shareSettings,
  withoutValues,
  withSession,
  withSessions,
} from './session.ts';
import { verifyDatabase } from './verify.ts';
import { verifySchema } from './verify-schema.ts';

export type SanitizeResult =
  | {
      readonly kind: 'sanitized';
      readonly report: MaskingReport;
      /** Of all tables, columns and types. */
      readonly schemaDigest: string;
      /** Rules that spoke of something here; those that spoke of nothing anywhere are `unusedRules`. */
      readonly used: ReadonlySet<string>;
      /** Byte strings that no file of the stopped server may hold. Raw values are among them: never print one. */
      readonly needles: readonly string[];
      /** For `scrubFiles`. */
      readonly relationFiles: ReadonlySet<string>;
    }
  | { readonly kind: 'findings'; readonly findings: readonly Finding[]; readonly used: ReadonlySet<string> };

const orphanRoundsMax = 100;
/** Each may take the server's `maintenance_work_mem`, and all of them have the memory of one capture. */
const sessionsMax = 4;

/** What it is at; each database goes through all of them but the last, which is for all of them together. */
export type SanitizeStage =
  | 'deciding'
  | 'sampling'
  | 'masking'
  | 'verifying'
  | 'scrubbing'
  | 'joining'
  | 'log';

/**
 * Masks every database of a private server, scrubs and verifies it. The caller then stops the server cleanly, calls
 * `scrubFiles`, and `scanFiles` for the needles: only then is it proved. On findings the copy is unfit: throw it away.
 */
export async function sanitizeCluster(of: {
  server: PrivateServer;
  policy: SanitizePolicy;
  /** `maskingKey`. */
  key: Buffer;
  signal: AbortSignal;
  line: (text: string) => void;
  /** Told as each stage begins, and waited for. */
  at?: (stage: SanitizeStage) => Promise<void>;
}): Promise<SanitizeResult> {
  const used = new Set<string>();
  const session = { key: of.key, signal: of.signal };
  await of.at?.('deciding');
  const { databases, closed } = await withSession(
    of.server,
    { ...session, database: 'postgres' },
    listDatabases,
  );
  const findings: Finding[] = closed.map((where) => ({
    code: 'not-readable',
    where,
    message: 'The database takes no connections, so nobody can say what is in it.',
    paste: null,
  }));
  const plans: MaskingPlan[] = [];
  const catalogues: Catalogue[] = [];
  for (const database of databases) {
    const catalogue = await withSession(of.server, { ...session, database }, readCatalogue);
    catalogues.push(catalogue);
    const decision = decide(catalogue, of.policy);
    for (const key of decision.used) used.add(key);
    if (decision.kind === 'findings') findings.push(...decision.findings);
    else plans.push(decision.plan);
  }
  if (findings.length > 0) return { kind: 'findings', findings, used };
  const mark = newMark();
  const needles = new Set<string>([mark]);
  const reports: DatabaseReport[] = [];
  for (const plan of plans) {
    const count = plan.tables.length === 0 ? 1 : Math.min(availableParallelism(), sessionsMax);
    const done = await withSessions(of.server, { ...session, database: plan.database, count }, (clients) =>
      sanitizeDatabase(clients, plan, { ...of, mark }).catch((error: unknown) => {
        throw withoutValues(error, plan.database);
      }),
    );
    findings.push(...done.findings);
    for (const needle of done.needles) needles.add(needle);
    reports.push(done.report);
  }
  const report = addReports(reports);
  if (report.tables > 0 && report.rowsScanned === 0)
    findings.push({
      code: 'nothing-scanned',
      where: 'all databases',
      message: 'The verifier read no row at all, which proves nothing.',
      paste: null,
    });
  if (findings.length > 0) return { kind: 'findings', findings, used };
  const relationFiles = new Set<string>();
  for (const database of databases)
    for (const file of await withSession(of.server, { ...session, database }, listRelationFiles))
      relationFiles.add(file);
  await of.at?.('log');
  await withSession(of.server, { ...session, database: 'postgres' }, scrubLog);
  return {
    kind: 'sanitized',
    report,
    schemaDigest: canonicalDigest(catalogues),
    used,
    needles: [...needles],
    relationFiles,
  };
}

/** template0 cannot have been written to; template1 can. */
async function listDatabases(client: Client): Promise<{ databases: string[]; closed: string[] }> {
  const { rows } = await client.query<{ name: string; open: boolean }>(
    `select datname as name, datallowconn as open from pg_database where datname <> 'template0' order by datname`,
  );
  const names = (open: boolean) => rows.filter((row) => row.open === open).map(({ name }) => name);
  return { databases: names(true), closed: names(false) };
}

async function sanitizeDatabase(
  clients: readonly [Client, ...Client[]],
  plan: MaskingPlan,
  of: {
    mark: string;
    key: Buffer;
    line: (text: string) => void;
    at?: (stage: SanitizeStage) => Promise<void>;
  },
): Promise<{ findings: Finding[]; needles: readonly string[]; report: DatabaseReport }> {
  const [client] = clients;
  const findings: Finding[] = [];
  const started = Date.now();
  await of.at?.('sampling');
  const samples = await takeSamples(client, plan);
  await runStatements(client, prepareStatements(plan), 'preparing');
  await shareSettings(clients, preparedSettings(plan));
  for (const one of clients) await runStatements(one, rowFunctions(plan), 'preparing');
  await runStatements(client, dropReferences(plan), 'dropping the reference');
  await runStatements(client, removeRows(plan), 'removing rows of');
  const orphans = removeOrphans(plan);
  for (let round = 0; round < orphanRoundsMax; round += 1)
    if ((await runStatements(client, orphans, 'removing orphans of')) === 0) break;
  const before = await countTables(client, plan);
  const canaries = await plantCanaries(client, plan, of.mark);
  await of.at?.('masking');
  const rowsOf = ({ display }: TablePlan) => Number(before.get(display)?.get('rows') ?? 0);
  await maskTables(clients, plan, {
    rowsOf,
    masked: (table, tookMs) => of.line(`masked ${table.display} (${rowsOf(table)} rows, ${tookMs} ms)`),
  });
  await runStatements(client, moveSequences(plan), 'moving the sequence of');
  await runStatements(client, refreshViews(plan), 'refreshing');
  await of.at?.('verifying');
  const seen = await verifyDatabase(clients, { plan, mark: of.mark, samples: samples.values });
  findings.push(...seen.findings);
  findings.push(...(await verifySchema(client, { plan, samples: samples.values })));
  if (!(await removeCanaries(client, canaries)))
    findings.push({
      code: 'canary',
      where: plan.database,
      message: 'A planted row was not found again after masking.',
      paste: null,
    });
  findings.push(...compareCounts(before, await countTables(client, plan)));
  await of.at?.('scrubbing');
  await scrubDatabase(client, plan, () => of.at?.('joining'));
  of.line(
    `${plan.database}: ${seen.columns} columns and ${seen.rows} rows verified, ${Date.now() - started} ms`,
  );
  return {
    findings: uniqueFindings(findings),
    needles: samples.values,
    report: {
      tables: plan.tables.length,
      columns: plan.tables.reduce((sum, table) => sum + table.columns.length, 0),
      columnsMasked: plan.tables.flatMap(({ columns }) => columns).filter(({ rule }) => rule.rule !== 'keep')
        .length,
      rows: totalRows(before),
      columnsScanned: seen.columns,
      rowsScanned: seen.rows - canaries.planted.length,
      canariesPlanted: canaries.planted.length,
      canaryColumns: canaries.columns,
      tablesWithoutCanary: canaries.refused.length,
      valuesSampled: samples.values.length,
      referencesChecked: plan.foreignKeys.length,
      detected: seen.detected,
      decisions: decisionsOf(plan),
    },
  };
}

function uniqueFindings(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [`${finding.code} ${finding.where}`, finding])).values()];
}
