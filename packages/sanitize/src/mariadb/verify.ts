import type { Detector } from '@bough/manifest/sanitize-policy';
import type { MaskingPlan } from '../decide.ts';
import type { Finding } from '../finding.ts';
import { displayTable } from '../names.ts';
import { addDetected, type Detected, detectedOnce } from '../report.ts';
import { shapeWords } from '../shape-words.ts';
import { shownBy } from '../verify.ts';
import { systemSchemas } from './catalogue.ts';
import { detect } from './detect.ts';
import { id, qualified } from './quote.ts';
import type { Session } from './session.ts';

export interface Verification {
  readonly findings: readonly Finding[];
  readonly columns: number;
  readonly rows: number;
  readonly detected: Detected;
}

/** Above twice this a table is read in part: about this many rows of it. */
const rowsRead = 1_000_000;

/**
 * Reads every column of every table of the masked server as text, and looks for what must not be there. It knows of no
 * types and asks the catalogue in its own way, so that what the masker overlooks is not overlooked twice.
 */
export async function verifyServer(
  session: Session,
  of: { plans: readonly MaskingPlan[]; mark: string; samples: ReadonlySet<string> },
): Promise<ReadonlyMap<string, Verification>> {
  const tables = await session.query<{ s: string; t: string; estimate: string | null }>(
    `select table_schema as s, table_name as t, table_rows as estimate from information_schema.tables
     where table_type not in ('VIEW', 'SEQUENCE', 'SYSTEM VIEW') and table_schema not in ${systemSchemas} order by 1, 2`,
  );
  const bySchema = new Map<string, Verification>();
  for (const { s: database, t: name, estimate } of tables) {
    const columns = await session.query<{ Field: string }>(
      `show columns from ${qualified({ database, name })}`,
    );
    const names = columns.map(({ Field }) => Field);
    const seen = await readTable(session, { ...of, database, name, names, estimate: Number(estimate ?? 0) });
    const sum = bySchema.get(database) ?? { findings: [], columns: 0, rows: 0, detected: addDetected([]) };
    bySchema.set(database, {
      findings: [...sum.findings, ...seen.findings],
      columns: sum.columns + names.length,
      rows: sum.rows + seen.rows,
      detected: addDetected([sum.detected, ...seen.detected]),
    });
  }
  return bySchema;
}

interface Tally {
  canaries: number;
  samples: number;
  readonly kinds: Map<Detector, { seen: number; certain: number }>;
}

async function readTable(
  session: Session,
  of: {
    plans: readonly MaskingPlan[];
    mark: string;
    samples: ReadonlySet<string>;
    database: string;
    name: string;
    names: readonly string[];
    estimate: number;
  },
): Promise<{ findings: Finding[]; rows: number; detected: Detected[] }> {
  const tallies = of.names.map((): Tally => ({ canaries: 0, samples: 0, kinds: new Map() }));
  const part = of.estimate > 2 * rowsRead ? ` where rand() < ${rowsRead / of.estimate}` : '';
  const picked = of.names.map(id).join(', ');
  let rows = 0;
  for await (const row of session.stream(`select ${picked} from ${qualified(of)}${part}`)) {
    rows += 1;
    for (const [index, value] of row.entries()) {
      const tally = tallies[index];
      if (value !== null && tally !== undefined) look(tally, value.toString('utf8'), of);
    }
  }
  const display = displayTable(of.database, { schema: 'public', name: of.name });
  const judged = tallies.map((tally, index) => {
    const name = of.names[index] ?? '';
    return judge(`${display}.${name}`, tally, allowed(of.plans, of.database, of.name, name));
  });
  const findings = judged.flatMap((one) => one.findings);
  return { findings, rows, detected: judged.flatMap((one) => one.detected) };
}

function look(tally: Tally, text: string, of: { mark: string; samples: ReadonlySet<string> }): void {
  if (text.includes(of.mark)) tally.canaries += 1;
  if (of.samples.has(text)) tally.samples += 1;
  for (const { kind, certain } of detect(text)) {
    const count = tally.kinds.get(kind) ?? { seen: 0, certain: 0 };
    tally.kinds.set(kind, { seen: count.seen + 1, certain: count.certain + Number(certain) });
  }
}

interface Judgement {
  readonly findings: Finding[];
  readonly detected: Detected[];
}

/** Check digits fit one in ten or a hundred by chance: among many candidates, half must fit. */
function judge(where: string, tally: Tally, leave: ReadonlySet<Detector>): Judgement {
  const finding = (code: Finding['code'], message: string): Finding => ({
    code,
    where,
    message,
    paste: null,
  });
  const findings: Finding[] = [];
  const detected: Detected[] = [];
  if (tally.canaries > 0) findings.push(finding('canary', 'A planted canary survived masking.'));
  if (tally.samples > 0)
    findings.push(
      finding('raw-value', `${tally.samples} values of masked columns stand here as they are in production.`),
    );
  for (const [kind, { seen, certain }] of tally.kinds) {
    const isOne = seen < 20 ? certain > 0 : certain * 2 >= seen;
    if (isOne && leave.has(kind)) detected.push(detectedOnce(kind, seen));
    else if (isOne)
      findings.push(finding('raw-value', `${certain} rows hold what looks like ${shapeWords[kind]}.`));
  }
  return { findings, detected };
}

/** What the policy lets stand in a column, and what a masked one shows by design; a generated one has its table's leave. */
function allowed(
  plans: readonly MaskingPlan[],
  database: string,
  table: string,
  column: string,
): ReadonlySet<Detector> {
  const plan = plans.find((one) => one.database === database)?.tables.find((one) => one.table.name === table);
  const leaves = (plan?.columns ?? [])
    .filter((one) => one.column.name === column || isGenerated(plan, column))
    .flatMap(({ rule }) => (rule.rule === 'keep' ? rule.allow : (shownBy[rule.rule] ?? [])));
  return new Set(leaves);
}

function isGenerated(plan: MaskingPlan['tables'][number] | undefined, column: string): boolean {
  return plan?.table.columns.find(({ name }) => name === column)?.generated === true;
}
