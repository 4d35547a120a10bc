import { described, type LocatedEntry, plain } from './located.ts';
import type { ServiceEntry } from './manifest.ts';
import { isName } from './read-app.ts';
import type { Report } from './report.ts';
import { openSection } from './section.ts';
import { readType } from './type-and-version.ts';

const noted = {
  access: 'Nothing has to be done.',
  container_profile: 'Services get the memory that their kind needs.',
  disk: 'Volumes take what they need.',
  firewall: 'Outgoing connections are not limited by the manifest.',
  relationships: 'A service cannot use another one yet.',
  resources: 'Services get the memory that their kind needs.',
  size: 'Services get the memory that their kind needs.',
};

export function readService(report: Report, entry: LocatedEntry): ServiceEntry | null {
  const title = `service "${entry.key}"`;
  if (!isName(entry.key)) {
    report.problem(
      entry.keyPlace,
      `${title}: this cannot be a name.`,
      'Use letters, digits, "-" and "_", at most 63.',
    );
    return null;
  }
  const service = openSection(report, entry.value, {
    title,
    acted: ['type', 'configuration'],
    noted,
    fallback: entry.keyPlace,
  });
  const typeNode = service.get('type');
  if (typeNode === undefined) {
    report.problem(entry.keyPlace, `${title} has no type.`, 'Add what it is, as in "type: postgresql:17".');
    return null;
  }
  const type = readType(report, typeNode, `${title}: type`);
  const configuration = service.get('configuration');
  if (configuration !== undefined && configuration.kind !== 'map') {
    report.problem(
      configuration.place,
      `${title}: configuration must be a map, not ${described(configuration)}.`,
      'Write "key: value" lines below it.',
    );
    return null;
  }
  if (type === null) return null;
  return {
    name: entry.key,
    ...type,
    configuration: configuration === undefined ? {} : (plain(configuration) as Record<string, unknown>),
    place: entry.keyPlace,
  };
}
