import { described, type Located, type LocatedEntry } from './located.ts';
import type { MountEntry, Place } from './manifest.ts';
import { overlaps, tidyPath } from './read-path.ts';
import type { Report } from './report.ts';
import { mapEntries, openSection, type Section, textOf } from './section.ts';
import { meant } from './suggest.ts';

const sources: Readonly<Record<string, MountEntry['source']>> = {
  storage: 'storage',
  local: 'storage',
  shared: 'storage',
  instance: 'instance',
  tmp: 'tmp',
  temporary: 'tmp',
  service: 'service',
};

/** Reads mounts, the legacy forms included (`source: local`, `"shared:files/x"`), each with a note. */
export function readMounts(report: Report, node: Located | undefined, title: string): readonly MountEntry[] {
  const mounts: { mount: MountEntry; place: Place; written: string }[] = [];
  for (const entry of mapEntries(report, node, `${title}: mounts`)) {
    const mount = readMount(report, entry, `${title}: mount "${entry.key}"`);
    if (mount === null) continue;
    const other = mounts.find((earlier) => overlaps(earlier.mount.path, mount.path));
    if (other !== undefined) {
      report.problem(
        entry.keyPlace,
        `${title}: mount "${entry.key}" overlaps mount "${other.written}" (line ${other.place.line}).`,
        'Mounts cannot lie within one another: remove one, or mount them side by side.',
      );
      continue;
    }
    mounts.push({ mount, place: entry.keyPlace, written: entry.key });
  }
  return mounts.map(({ mount }) => mount);
}

function readMount(report: Report, entry: LocatedEntry, what: string): MountEntry | null {
  const path = tidyPath(entry.key);
  if (path === undefined || path === '') {
    report.problem(
      entry.keyPlace,
      `${what}: ${path === '' ? 'this would hide the whole app' : 'this leads out of the app'}.`,
      'Name a directory inside the app, as in "uploads".',
    );
    return null;
  }
  const { value } = entry;
  if (value.kind === 'scalar' && typeof value.value === 'string')
    return legacyMount(report, value.value, value.place, path, what);
  if (value.kind !== 'map') {
    report.problem(
      value.place,
      `${what} must be a map, not ${described(value)}.`,
      'Write "source: storage" below it.',
    );
    return null;
  }
  return mapMount(report, openMount(report, value, what), path, what);
}

function openMount(report: Report, value: Located, what: string): Section {
  return openSection(report, value, {
    title: what,
    acted: ['source', 'source_path', 'service'],
    fallback: value.place,
  });
}

function legacyMount(
  report: Report,
  text: string,
  place: Place,
  path: string,
  what: string,
): MountEntry | null {
  const match = /^shared:files(?:\/(.*))?$/.exec(text);
  const sourcePath = match === null ? undefined : tidyPath(match[1] ?? '');
  if (sourcePath === undefined) {
    report.problem(place, `${what}: "${text}" is not understood.`, 'Write a map with "source: storage".');
    return null;
  }
  report.note(
    place,
    `${what}: "${text}" is read as source: storage, source_path: "${sourcePath}".`,
    'Nothing has to be done.',
  );
  return { path, source: 'storage', sourcePath, service: null };
}

function mapMount(report: Report, section: Section, path: string, what: string): MountEntry | null {
  const written = textOf(report, section.get('source'), `${what}: source`);
  if (written === null) {
    if (section.has('source') && section.get('source') !== undefined) return null;
    report.problem(
      section.place,
      `${what} has no source.`,
      'Add "source: storage" (kept) or "source: tmp" (not kept).',
    );
    return null;
  }
  const source = Object.hasOwn(sources, written) ? sources[written] : undefined;
  if (source === undefined) {
    report.problem(
      section.placeOf('source'),
      `${what}: unknown source "${written}".`,
      meant(written, Object.keys(sources)),
    );
    return null;
  }
  if (written === 'local' || written === 'shared') {
    report.note(
      section.placeOf('source'),
      `${what}: source "${written}" is read as "storage".`,
      'Nothing has to be done.',
    );
  }
  const writtenPath = section.get('source_path');
  const sourcePath =
    writtenPath === undefined ? undefined : textOf(report, writtenPath, `${what}: source_path`);
  if (sourcePath === null) return null;
  const tidy = sourcePath === undefined ? path : tidyPath(sourcePath);
  if (tidy === undefined) {
    report.problem(
      section.placeOf('source_path'),
      `${what}: source_path leads out of the volume.`,
      'Remove the "..".',
    );
    return null;
  }
  const service = textOf(report, section.get('service'), `${what}: service`);
  if (source === 'service' && service === null) {
    report.problem(
      section.place,
      `${what}: source "service" needs a service.`,
      'Add "service: <name of a network-storage service>".',
    );
    return null;
  }
  return { path, source, sourcePath: tidy, service };
}
