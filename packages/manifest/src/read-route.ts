import { described, type LocatedEntry, type LocatedScalar } from './located.ts';
import type { Place, RouteEntry } from './manifest.ts';
import type { Report } from './report.ts';
import { booleanOf, mapEntries, openSection, type Section, textOf } from './section.ts';
import { meant } from './suggest.ts';

export interface WrittenRoute {
  readonly route: RouteEntry;
  /** Of the pattern. */
  readonly place: Place;
  /** Of the upstream or the address. */
  readonly toPlace: Place;
}

const noted = {
  cache: 'The gateway caches nothing.',
  http_access: 'Say who may open previews with "previews: access".',
  redirects: 'Only whole routes redirect.',
  ssi: 'Nothing has to be done.',
  sticky: 'One process serves each app.',
  tls: 'The gateway decides on TLS.',
};

/** Null when it is wrong (reported) or of a kind that is not acted on yet (noted). */
export function readRoute(report: Report, entry: LocatedEntry): WrittenRoute | null {
  const title = `route "${entry.key}"`;
  const pattern = readPattern(report, entry, title);
  const section = openSection(report, entry.value, {
    title,
    acted: ['type', 'upstream', 'to', 'id', 'primary', 'attributes'],
    noted,
    fallback: entry.keyPlace,
  });
  const kind = readKind(report, section, title);
  const target = kind === null ? null : readTarget(report, section, title, kind);
  const common = {
    id: textOf(report, section.get('id'), `${title}: id`),
    primary: booleanOf(report, section.get('primary'), `${title}: primary`, false),
    attributes: readAttributes(report, section, title),
  };
  if (pattern === null || target === null || kind === null) return null;
  return { route: { pattern, kind, to: target.to, ...common }, place: entry.keyPlace, toPlace: target.place };
}

/** The pattern with a slash at the end of its path, or null. */
function readPattern(report: Report, entry: LocatedEntry, title: string): string | null {
  const match = /^(https?):\/\/([^/:?#\s]+)(?::(\d+))?(\/[^?#\s]*)?$/.exec(entry.key);
  const host = match?.[2] ?? '';
  const plainHost = host.replace(/\{(?:default|all)\}$/, 'x');
  if (match === null || !/^(?:\*\.)?(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}$/.test(plainHost)) {
    report.problem(
      entry.keyPlace,
      `${title}: this is not an address.`,
      'Write "https://{default}/", "https://api.{default}/" or "https://{default}/path/".',
    );
    return null;
  }
  if (match[3] !== undefined && match[3] !== '80' && match[3] !== '443') {
    report.problem(entry.keyPlace, `${title}: port ${match[3]} cannot be had.`, 'Leave the port out.');
    return null;
  }
  if (host.startsWith('*.')) {
    report.note(
      entry.keyPlace,
      `${title}: hosts with "*" are not acted on yet.`,
      'Write one route for each host.',
    );
    return null;
  }
  const path = match[4] ?? '/';
  return `${match[1]}://${host}${path.endsWith('/') ? path : `${path}/`}`;
}

function readKind(report: Report, section: Section, title: string): RouteEntry['kind'] | null {
  const type = textOf(report, section.get('type'), `${title}: type`) ?? 'upstream';
  if (type === 'upstream' || type === 'redirect') return type;
  if (type === 'proxy') {
    report.note(
      section.placeOf('type'),
      `${title}: type "proxy" is not acted on yet; there is no such route.`,
      'Let an app forward the requests.',
    );
    return null;
  }
  report.problem(
    section.placeOf('type'),
    `${title}: unknown type "${type}".`,
    meant(type, ['upstream', 'redirect', 'proxy']),
  );
  return null;
}

function readTarget(
  report: Report,
  section: Section,
  title: string,
  kind: RouteEntry['kind'],
): { to: string; place: Place } | null {
  const key = kind === 'upstream' ? 'upstream' : 'to';
  const node = section.get(key);
  if (node === undefined) {
    const hint =
      kind === 'upstream'
        ? 'Add the app: "upstream: web:http".'
        : 'Add the address: to: "https://{default}/".';
    report.problem(section.place, `${title} has no "${key}".`, hint);
    return null;
  }
  const text = textOf(report, node, `${title}: ${key}`);
  if (text === null) return null;
  if (kind === 'redirect') {
    if (/^https?:\/\/[^\s/]+/.test(text)) return { to: text, place: node.place };
    report.problem(node.place, `${title}: "${text}" is not an address.`, 'Write to: "https://{default}/".');
    return null;
  }
  const [app = '', endpoint, ...more] = text.split(':');
  if (more.length === 0 && (endpoint === undefined || endpoint === 'http'))
    return { to: app, place: node.place };
  report.problem(node.place, `${title}: upstream "${text}" is not understood.`, `Write "${app}:http".`);
  return null;
}

function readAttributes(report: Report, section: Section, title: string): Readonly<Record<string, string>> {
  const attributes = mapEntries(report, section.get('attributes'), `${title}: attributes`).flatMap(
    (entry) => {
      if (entry.value.kind === 'scalar') return [[entry.key, scalarText(entry.value)] as const];
      report.problem(
        entry.value.place,
        `${title}: attribute "${entry.key}" must be text, not ${described(entry.value)}.`,
        'Write one text.',
      );
      return [];
    },
  );
  return Object.fromEntries(attributes);
}

function scalarText(scalar: LocatedScalar): string {
  return typeof scalar.value === 'string' ? scalar.value : scalar.source;
}
