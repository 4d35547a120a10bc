import { posix } from 'node:path';
import { checkReferences } from './check-references.ts';
import { described, isEmpty, type Located, type LocatedEntry } from './located.ts';
import type { ReadResult } from './manifest.ts';
import { parseYaml, where } from './parse-yaml.ts';
import { readApp } from './read-app.ts';
import { tidyPath } from './read-path.ts';
import { readData } from './read-policy.ts';
import { readPreviews } from './read-previews.ts';
import { readRoute } from './read-route.ts';
import { readService } from './read-service.ts';
import { createReport, type Report } from './report.ts';
import { type IncludeSource, resolveIncludes } from './resolve-includes.ts';
import { mapEntries } from './section.ts';
import { meant } from './suggest.ts';

/** Any more is not a manifest. */
const FILES_MAX = 50;
const ENTRIES_MAX = 200;

const sectionNames = ['applications', 'services', 'routes'] as const;
const policyNames = ['previews', 'data'] as const;
type SectionName = (typeof sectionNames)[number];
type PolicyName = (typeof policyNames)[number];

/** All manifest files merged: top-level keys only, and a name that occurs twice is a problem. */
interface Merged {
  readonly applications: readonly LocatedEntry[];
  readonly services: readonly LocatedEntry[];
  readonly routes: readonly LocatedEntry[];
  readonly previews: Located | undefined;
  readonly data: Located | undefined;
  readonly broken: boolean;
}

/**
 * Reads the manifest of a tree. `files` maps paths, relative to the repository, to texts: all of `.bough/` and
 * `.upsun/`, and the files that `missingIncludes` names. Every problem that can be told apart is reported at once, at
 * most 50, each with its place. Files in subdirectories of `.bough/` and `.upsun/` count only when they are included.
 */
export function readManifest(files: Readonly<Record<string, string>>): ReadResult {
  return read(files, new Set());
}

/** Paths that `!include`s want and that are not in `files`. Read them and ask again: an included file may include. */
export function missingIncludes(files: Readonly<Record<string, string>>): readonly string[] {
  const missing = new Set<string>();
  read(files, missing);
  return [...missing].sort();
}

/** Whether a path is one that `readManifest` reads by itself. */
function isManifestFile(path: string): boolean {
  return /^\.(?:bough|upsun)\/[^/]+\.ya?ml$/.test(path);
}

function read(files: Readonly<Record<string, string>>, missing: Set<string>): ReadResult {
  const report = createReport();
  const own = directoryFiles(files, '.bough');
  const theirs = directoryFiles(files, '.upsun');
  if (own.length + theirs.length === 0) return { kind: 'absent' };
  if (own.length + theirs.length > FILES_MAX) {
    const place = { file: (own[0] ?? theirs[0]) as string, line: 1, column: 1 };
    report.problem(place, `There are more than ${FILES_MAX} manifest files.`, 'Join some of them.');
    return { kind: 'problems', problems: report.problems };
  }
  const parsed = new Map(own.map((file) => [file, parseYaml(report, file, files[file] ?? '')] as const));
  const onlyPolicy = theirs.length > 0 && [...parsed.values()].every(holdsOnlyPolicy);
  if (own.length > 0 && theirs.length > 0 && !onlyPolicy) {
    const place = { file: theirs[0] as string, line: 1, column: 1 };
    report.note(
      place,
      '.upsun/ is not read, because .bough/ says what this project is.',
      'Remove one of the two.',
    );
  }
  const flavour = own.length === 0 || onlyPolicy ? 'upsun' : 'bough';
  if (flavour === 'upsun')
    for (const file of theirs) parsed.set(file, parseYaml(report, file, files[file] ?? ''));
  const merged = merge(report, parsed);
  return finish(report, merged, { files, missing }, flavour, [...parsed.keys()]);
}

function directoryFiles(files: Readonly<Record<string, string>>, directory: string): string[] {
  return Object.keys(files)
    .filter((path) => path.startsWith(`${directory}/`) && isManifestFile(path))
    .sort();
}

/** A `.bough/` that holds nothing but `previews:` and `data:` adds the policy to an `.upsun/` manifest. */
function holdsOnlyPolicy(parsed: Located | 'empty' | 'broken'): boolean {
  if (parsed === 'empty') return true;
  if (parsed === 'broken' || parsed.kind !== 'map') return false;
  return parsed.entries.every((entry) => !(sectionNames as readonly string[]).includes(entry.key));
}

function merge(report: Report, parsed: ReadonlyMap<string, Located | 'empty' | 'broken'>): Merged {
  const sections: Record<SectionName, Map<string, LocatedEntry>> = {
    applications: new Map(),
    services: new Map(),
    routes: new Map(),
  };
  const policies = new Map<PolicyName, LocatedEntry>();
  for (const [file, root] of parsed) {
    if (root === 'empty' || root === 'broken') continue;
    if (root.kind !== 'map') {
      report.problem(
        root.place,
        `${file} must be a map, not ${described(root)}.`,
        'Begin with "applications:".',
      );
      continue;
    }
    const known = file.startsWith('.bough/') ? [...sectionNames, ...policyNames] : sectionNames;
    for (const entry of root.entries) {
      const section = sectionNames.find((name) => name === entry.key);
      const policy = policyNames.find((name) => name === entry.key);
      if (section !== undefined) addEntries(report, sections[section], entry, section);
      else if (policy !== undefined && file.startsWith('.bough/')) addPolicy(report, policies, policy, entry);
      else reportUnknown(report, entry, known, policy);
    }
  }
  return {
    applications: [...sections.applications.values()],
    services: [...sections.services.values()],
    routes: [...sections.routes.values()],
    previews: policies.get('previews')?.value,
    data: policies.get('data')?.value,
    broken: [...parsed.values()].includes('broken'),
  };
}

function addEntries(
  report: Report,
  into: Map<string, LocatedEntry>,
  section: LocatedEntry,
  name: SectionName,
): void {
  const singular = { applications: 'app', services: 'service', routes: 'route' }[name];
  for (const entry of mapEntries(report, section.value, name)) {
    const earlier = into.get(entry.key);
    if (earlier !== undefined) {
      report.problem(
        entry.keyPlace,
        `${singular} "${entry.key}" is declared here and at ${where(earlier.keyPlace)}.`,
        'Files are joined, but what is inside one name is not: keep one of the two.',
      );
    } else if (into.size >= ENTRIES_MAX) {
      report.problem(entry.keyPlace, `There are more than ${ENTRIES_MAX} ${name}.`, 'Remove some.');
      return;
    } else into.set(entry.key, entry);
  }
}

function addPolicy(
  report: Report,
  policies: Map<PolicyName, LocatedEntry>,
  name: PolicyName,
  entry: LocatedEntry,
): void {
  const earlier = policies.get(name);
  if (earlier !== undefined) {
    report.problem(
      entry.keyPlace,
      `"${name}" is declared here and at ${where(earlier.keyPlace)}.`,
      'Keep one of the two.',
    );
  } else policies.set(name, entry);
}

function reportUnknown(
  report: Report,
  entry: LocatedEntry,
  known: readonly string[],
  policy: PolicyName | undefined,
): void {
  const hint =
    policy === undefined
      ? meant(entry.key, known)
      : `Put "${policy}:" into .bough/policy.yaml; it adds to .upsun/.`;
  report.problem(entry.keyPlace, `Unknown key "${entry.key}".`, hint);
}

function finish(
  report: Report,
  merged: Merged,
  source: IncludeSource,
  flavour: 'bough' | 'upsun',
  files: readonly string[],
): ReadResult {
  const configDirectory = `.${flavour}`;
  const include = (entry: LocatedEntry, base: string): LocatedEntry => ({
    ...entry,
    value: resolveIncludes(report, source, entry.value, base),
  });
  const apps = merged.applications.flatMap(
    (entry) => readApp(report, includedApp(entry, include, configDirectory)) ?? [],
  );
  const services = merged.services.flatMap(
    (entry) => readService(report, include(entry, configDirectory)) ?? [],
  );
  const routes = merged.routes.flatMap((entry) => readRoute(report, include(entry, configDirectory)) ?? []);
  const previews = readPreviews(report, merged.previews);
  // What could not be read would look as if it were absent: only a whole manifest is checked for what it names.
  const isWhole = !merged.broken && namesAreWhole(merged, { apps, services });
  const data = readData(report, merged.data, isWhole ? apps : 'unknown');
  if (merged.broken || report.problems.length > 0) {
    if (isWhole) checkReferences(report, { apps, services, routes });
    return { kind: 'problems', problems: inOrder(report) };
  }
  if (apps.length === 0) {
    const place = { file: files[0] ?? configDirectory, line: 1, column: 1 };
    report.problem(place, 'The manifest declares no app.', 'Add one under "applications:".');
  }
  const matched = checkReferences(report, { apps, services, routes });
  if (report.problems.length > 0) return { kind: 'problems', problems: inOrder(report) };
  return {
    kind: 'manifest',
    manifest: { files, flavour, services, previews, data, notes: report.notes, ...matched },
  };
}

function namesAreWhole(
  merged: Merged,
  read: { readonly apps: readonly unknown[]; readonly services: readonly unknown[] },
): boolean {
  return merged.applications.length === read.apps.length && merged.services.length === read.services.length;
}

/** Paths in an app are relative to its source.root; an app that is itself an include is relative to the manifest. */
function includedApp(
  entry: LocatedEntry,
  include: (entry: LocatedEntry, base: string) => LocatedEntry,
  configDirectory: string,
): LocatedEntry {
  const whole = entry.value.kind === 'include' ? include(entry, configDirectory) : entry;
  const source = child(whole.value, 'source');
  const root = source === undefined ? undefined : child(source, 'root');
  const base = root?.kind === 'scalar' && typeof root.value === 'string' ? (tidyPath(root.value) ?? '') : '';
  return include(whole, posix.normalize(base) === '.' ? '' : base);
}

function child(node: Located, key: string): Located | undefined {
  const value = node.kind === 'map' ? node.entries.find((entry) => entry.key === key)?.value : undefined;
  return isEmpty(value) ? undefined : value;
}

function inOrder(report: Report) {
  return [...report.problems].sort((a, b) =>
    a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column,
  );
}
