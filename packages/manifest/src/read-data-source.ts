import type { Located } from './located.ts';
import type { ServiceSource } from './manifest.ts';
import type { Report } from './report.ts';
import { booleanOf, integerOf, mapEntries, openSection, textOf } from './section.ts';

const hint =
  'Write "database: { secret: PRODUCTION_DATABASE }", the name of a project secret that holds the connection string, or "database: { file: shop.dump }".';

/** More are no faster under the one bound on bytes a second, and a production has other guests. */
const connectionsMax = 8;

/** `data: source:`: service → where its data comes from when production does not run on this Bough. */
export function readDataSource(
  report: Report,
  node: Located | undefined,
): Readonly<Record<string, ServiceSource>> {
  const sources: Record<string, ServiceSource> = {};
  for (const entry of mapEntries(report, node, 'data: source')) {
    const title = `data: source: ${entry.key}`;
    const fallback = entry.keyPlace;
    const acted = ['secret', 'file', 'standby', 'connections'];
    const section = openSection(report, entry.value, { title, acted, fallback });
    const secret = textOf(report, section.get('secret'), `${title}: secret`);
    const file = textOf(report, section.get('file'), `${title}: file`);
    const standby = booleanOf(report, section.get('standby'), `${title}: standby`, false);
    const range = { least: 1, most: connectionsMax };
    const connections = integerOf(report, section.get('connections'), `${title}: connections`, range);
    if ((secret === null) === (file === null))
      report.problem(fallback, `${title} must name one place that its data comes from.`, hint);
    else if (standby && secret === null)
      report.problem(
        section.placeOf('standby'),
        `${title}: standby speaks of a server, and a file is none.`,
        'Remove it, or name the secret with the connection string of a standby.',
      );
    else if (connections !== null && secret === null)
      report.problem(
        section.placeOf('connections'),
        `${title}: connections speaks of a server, and a file is none.`,
        'Remove it.',
      );
    else if (secret !== null && !/^[A-Za-z_][A-Za-z0-9_:]{0,99}$/.test(secret))
      report.problem(
        section.placeOf('secret'),
        `${title}: secret must be the name of a project secret, not its value.`,
        `${hint} Was a password committed here? Change it.`,
      );
    else if (file !== null && !/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(file))
      report.problem(
        section.placeOf('file'),
        `${title}: file must be a name without folders.`,
        'It is looked for in the folder dumps/<project> of Bough’s home, where the operator puts it.',
      );
    else if (secret !== null)
      sources[entry.key] = {
        ...{ kind: 'secret', name: secret },
        ...(standby ? { standby } : {}),
        ...(connections === null ? {} : { connections }),
      };
    else if (file !== null) sources[entry.key] = { kind: 'file', name: file };
  }
  return sources;
}
