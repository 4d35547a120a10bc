import type { Located } from './located.ts';
import type { ServiceSource } from './manifest.ts';
import { type DeclaredApps, readSeedSource } from './read-seed-source.ts';
import type { Report } from './report.ts';
import { booleanOf, integerOf, mapEntries, openSection, type Section, textOf } from './section.ts';

const hint =
  'Write "database: { secret: PRODUCTION_DATABASE }", the name of a project secret that holds the connection string, or "database: { file: shop.dump }", or "database: { seed: npm run seed }".';

const kinds = ['secret', 'file', 'seed'] as const;

/** More are no faster under the one bound on bytes a second, and a production has other guests. */
const connectionsMax = 8;

/** `data: source:`: service → where its data comes from when production does not run on this Bough. */
export function readDataSource(
  report: Report,
  node: Located | undefined,
  apps: DeclaredApps,
): Readonly<Record<string, ServiceSource>> {
  const sources: Record<string, ServiceSource> = {};
  for (const entry of mapEntries(report, node, 'data: source')) {
    const title = `data: source: ${entry.key}`;
    const fallback = entry.keyPlace;
    const acted = [...kinds, 'standby', 'connections', 'app'];
    const section = openSection(report, entry.value, { title, acted, fallback });
    const [kind, ...others] = kinds.filter((one) => section.get(one) !== undefined);
    if (kind === undefined || others.length > 0) {
      report.problem(fallback, `${title} must name one place that its data comes from.`, hint);
      continue;
    }
    const misplaced = misplacedIn(section, kind, title);
    if (misplaced !== undefined)
      report.problem(section.placeOf(misplaced.key), misplaced.message, misplaced.hint);
    const source = readers[kind](report, section, { title, service: entry.key, apps });
    if (source !== null && misplaced === undefined) sources[entry.key] = source;
  }
  return sources;
}

interface Written {
  readonly title: string;
  readonly service: string;
  readonly apps: DeclaredApps;
}

type SourceReader = (report: Report, section: Section, of: Written) => ServiceSource | null;

const readers: Readonly<Record<(typeof kinds)[number], SourceReader>> = {
  secret: readSecret,
  file: readFile,
  seed: readSeedSource,
};

/** A key that says something of another kind of source. */
function misplacedIn(section: Section, kind: (typeof kinds)[number], title: string) {
  const ofServer = ['standby', 'connections'].find((key) => section.get(key) !== undefined);
  if (kind !== 'secret' && ofServer !== undefined)
    return {
      key: ofServer,
      message: `${title}: ${ofServer} speaks of a server, and a ${kind} is none.`,
      hint: 'Remove it, or name the secret with the connection string of a server.',
    };
  if (kind !== 'seed' && section.get('app') !== undefined)
    return {
      key: 'app',
      message: `${title}: app says whose seed command is run, and there is none.`,
      hint: 'Remove it, or write the command: "{ seed: npm run seed, app: web }".',
    };
  return undefined;
}

function readSecret(report: Report, section: Section, { title }: Written): ServiceSource | null {
  const name = textOf(report, section.get('secret'), `${title}: secret`);
  const standby = booleanOf(report, section.get('standby'), `${title}: standby`, false);
  const range = { least: 1, most: connectionsMax };
  const connections = integerOf(report, section.get('connections'), `${title}: connections`, range);
  if (name === null) return null;
  if (/^[A-Za-z_][A-Za-z0-9_:]{0,99}$/.test(name))
    return {
      ...{ kind: 'secret', name },
      ...(standby ? { standby } : {}),
      ...(connections === null ? {} : { connections }),
    };
  report.problem(
    section.placeOf('secret'),
    `${title}: secret must be the name of a project secret, not its value.`,
    `${hint} Was a password committed here? Change it.`,
  );
  return null;
}

function readFile(report: Report, section: Section, { title }: Written): ServiceSource | null {
  const name = textOf(report, section.get('file'), `${title}: file`);
  if (name === null) return null;
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name)) return { kind: 'file', name };
  report.problem(
    section.placeOf('file'),
    `${title}: file must be a name without folders.`,
    'It is looked for in the folder dumps/<project> of Bough’s home, where the operator puts it.',
  );
  return null;
}
