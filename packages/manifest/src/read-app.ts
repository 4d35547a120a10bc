import { type Located, type LocatedEntry, plain } from './located.ts';
import type { App, Place, Worker } from './manifest.ts';
import { readMounts } from './read-mounts.ts';
import { tidyPath } from './read-path.ts';
import { readRelationships, type WrittenRelationship } from './read-relationships.ts';
import { readStack } from './read-stack.ts';
import { readVariables } from './read-variables.ts';
import type { Report } from './report.ts';
import { mapEntries, openSection, type Section, textOf } from './section.ts';
import { meant } from './suggest.ts';
import { readType } from './type-and-version.ts';

/** An app whose relationships have not been matched with the services yet. */
export interface WrittenApp extends Omit<App, 'relationships' | 'workers'> {
  readonly relationships: readonly WrittenRelationship[];
  readonly workers: readonly WrittenWorker[];
}

export interface WrittenWorker extends Omit<Worker, 'relationships'> {
  readonly relationships: readonly WrittenRelationship[];
}

const inherited = 'Nothing has to be done: the value is kept for when it is.';

/** Keys that workers (and `web`) may override, and that are understood but do nothing yet. */
const notedPerInstance: Readonly<Record<string, string>> = {
  access: inherited,
  additional_hosts: inherited,
  container_profile: 'Apps get 512 MiB each; say more with "size".',
  disk: 'Volumes take what they need.',
  firewall: 'Outgoing connections are not limited by the manifest.',
  resources: 'Apps get 512 MiB each; say more with "size".',
  timezone: inherited,
};

const notedKeys: Readonly<Record<string, string>> = {
  ...notedPerInstance,
  dependencies: 'Install the packages in hooks.build.',
  operations: 'Nobody can start them; put what a deployment needs into hooks.deploy.',
  preflight: inherited,
  runtime: 'PHP extensions and settings come with the PHP runtime.',
};

const actedKeys = [
  'type',
  'stack',
  'source',
  'build',
  'hooks',
  'web',
  'workers',
  'relationships',
  'mounts',
  'variables',
  'crons',
  'size',
  'name',
] as const;

export function readApp(report: Report, entry: LocatedEntry): WrittenApp | null {
  const name = entry.key;
  const title = `app "${name}"`;
  if (!isName(name)) return reportName(report, entry, title);
  const app = openSection(report, entry.value, {
    title,
    acted: actedKeys,
    noted: notedKeys,
    fallback: entry.keyPlace,
  });
  const identity = readIdentity(report, app, title);
  const root = readRoot(report, app, title);
  const hooks = openSection(report, app.get('hooks'), {
    title: `${title}: hooks`,
    acted: ['build', 'deploy', 'post_deploy'],
    fallback: app.placeOf('hooks'),
  });
  const hook = (key: string) => commandOf(report, hooks.get(key), `${title}: hooks.${key}`);
  const relationships = readRelationships(report, app.get('relationships'), title);
  const mounts = readMounts(report, app.get('mounts'), title);
  const variables = readVariables(report, app.get('variables'), title);
  const own = { relationships, mounts, env: variables.env };
  return {
    name,
    type: identity?.type ?? '',
    toolchains: identity?.toolchains ?? [],
    root: root.path,
    rootPlace: root.place,
    hooks: { build: hook('build'), deploy: hook('deploy'), postDeploy: hook('post_deploy') },
    buildFlavor: readFlavor(report, app, title),
    web: readWeb(report, app, title),
    workers: readWorkers(report, app.get('workers'), title, own),
    ...own,
    otherVariables: variables.other,
    crons: readCrons(report, app.get('crons'), title),
    memoryMib: readSize(report, app, title),
    place: entry.keyPlace,
  };
}

export function isName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(name);
}

function reportName(report: Report, entry: LocatedEntry, title: string): null {
  report.problem(
    entry.keyPlace,
    `${title}: this cannot be a name.`,
    'Use letters, digits, "-" and "_", at most 63, starting with a letter or digit.',
  );
  return null;
}

function readIdentity(
  report: Report,
  app: Section,
  title: string,
): { type: string; toolchains: string[] } | null {
  const stack = readStack(report, app.get('stack'), title);
  if (!app.has('type') && stack !== null) {
    report.note(
      app.placeOf('stack'),
      `${title}: "stack" without a type is read as type "composable".`,
      'Nothing has to be done.',
    );
    return { type: 'composable', toolchains: stack };
  }
  if (app.get('type') === undefined) {
    report.problem(app.place, `${title} has no type.`, 'Add what it runs on, as in "type: nodejs:22".');
    return null;
  }
  const type = readType(report, app.get('type'), `${title}: type`);
  if (type === null) return null;
  const text = `${type.type}:${type.version}`;
  if (type.type === 'composable') return { type: text, toolchains: stack ?? [] };
  if (stack !== null) {
    report.problem(
      app.placeOf('stack'),
      `${title}: "stack" only goes with type "composable".`,
      'Remove the stack, or change the type.',
    );
  }
  return { type: text, toolchains: [text] };
}

function readRoot(report: Report, app: Section, title: string): { path: string; place: Place } {
  const source = openSection(report, app.get('source'), {
    title: `${title}: source`,
    acted: ['root'],
    noted: { operations: 'Source operations are not run.' },
    fallback: app.place,
  });
  const node = source.get('root');
  const place = node?.place ?? app.place;
  const text = textOf(report, node, `${title}: source.root`);
  const path = tidyPath(text ?? '');
  if (path !== undefined && !path.split('/').includes('.git')) return { path, place };
  report.problem(
    place,
    `${title}: source.root "${text}" is not a directory of the repository.`,
    'Name a directory relative to the repository, as in "backend"; "/" is the repository itself.',
  );
  return { path: '', place };
}

const flavors = ['none', 'default', 'composer'];

function readFlavor(report: Report, app: Section, title: string): string | null {
  const build = openSection(report, app.get('build'), {
    title: `${title}: build`,
    acted: ['flavor'],
    noted: { caches: 'PLATFORM_CACHE_DIR is kept between builds.' },
    fallback: app.place,
  });
  const flavor = textOf(report, build.get('flavor'), `${title}: build.flavor`);
  if (flavor === null || flavors.includes(flavor)) return flavor;
  report.note(
    build.placeOf('flavor'),
    `${title}: build.flavor "${flavor}" is read as "none".`,
    meant(flavor, flavors),
  );
  return 'none';
}

function readWeb(report: Report, app: Section, title: string): App['web'] {
  const node = app.get('web');
  if (node === undefined) return null;
  const web = openSection(report, node, {
    title: `${title}: web`,
    acted: ['commands', 'upstream', 'locations'],
    noted: notedPerInstance,
    fallback: app.place,
  });
  const commands = readCommands(report, web.get('commands'), `${title}: web.commands`, [
    'pre_start',
    'start',
    'post_start',
  ]);
  checkUpstream(report, web, title);
  return {
    start: commands('start'),
    preStart: commands('pre_start'),
    postStart: commands('post_start'),
    locations: readLocations(report, web.get('locations'), title),
  };
}

function checkUpstream(report: Report, web: Section, title: string): void {
  const upstream = openSection(report, web.get('upstream'), {
    title: `${title}: web.upstream`,
    acted: ['socket_family', 'protocol'],
    fallback: web.place,
  });
  const family = textOf(report, upstream.get('socket_family'), `${title}: web.upstream.socket_family`);
  if (family !== null && family !== 'tcp') {
    report.note(
      upstream.placeOf('socket_family'),
      `${title}: socket_family "${family}" is not acted on yet.`,
      'The app must listen on $PORT.',
    );
  }
  const protocol = textOf(report, upstream.get('protocol'), `${title}: web.upstream.protocol`);
  if (protocol !== null && protocol !== 'http') {
    report.note(
      upstream.placeOf('protocol'),
      `${title}: protocol "${protocol}" is not acted on yet.`,
      'The app must speak HTTP on $PORT.',
    );
  }
}

const locationKeys = [
  'root',
  'passthru',
  'index',
  'expires',
  'allow',
  'scripts',
  'headers',
  'request_buffering',
  'rules',
];

function readLocations(
  report: Report,
  node: Located | undefined,
  title: string,
): Readonly<Record<string, unknown>> {
  const locations: [string, unknown][] = [];
  for (const entry of mapEntries(report, node, `${title}: web.locations`)) {
    const what = `${title}: location "${entry.key}"`;
    const location = openSection(report, entry.value, {
      title: what,
      acted: locationKeys,
      fallback: entry.keyPlace,
    });
    locations.push([entry.key, plain(entry.value)]);
    const passthru = location.get('passthru');
    const everything = entry.key === '/' && passthru?.kind === 'scalar' && passthru.value === true;
    if (!everything || locationKeys.some((key) => key !== 'passthru' && location.has(key))) {
      report.note(
        entry.keyPlace,
        `${what}: its rules are not acted on yet.`,
        'All requests go to the web process, which must serve files itself.',
      );
    }
  }
  return Object.fromEntries(locations);
}

/** Opens a `commands` map; the result reads one of them. */
function readCommands(
  report: Report,
  node: Located | undefined,
  title: string,
  keys: readonly string[],
  fallback: Place = { file: '', line: 1, column: 1 },
): (key: string) => string | null {
  const section = openSection(report, node, { title, acted: keys, fallback });
  return (key) => commandOf(report, section.get(key), `${title}.${key}`);
}

/** A command or script; blank counts as absent. */
function commandOf(report: Report, node: Located | undefined, title: string): string | null {
  const text = textOf(report, node, title);
  return text === null || text.trim() === '' ? null : text;
}

function readWorkers(
  report: Report,
  node: Located | undefined,
  title: string,
  own: Pick<WrittenWorker, 'relationships' | 'mounts' | 'env'>,
): readonly WrittenWorker[] {
  return mapEntries(report, node, `${title}: workers`).flatMap((entry) => {
    const what = `${title}: worker "${entry.key}"`;
    if (!isName(entry.key)) return reportName(report, entry, what) ?? [];
    const worker = openSection(report, entry.value, {
      title: what,
      acted: ['commands', 'relationships', 'mounts', 'variables', 'size'],
      noted: notedPerInstance,
      fallback: entry.keyPlace,
    });
    const commands = readCommands(
      report,
      worker.get('commands'),
      `${what}: commands`,
      ['pre_start', 'start', 'post_start'],
      entry.keyPlace,
    );
    const start = commands('start');
    if (start === null) {
      report.problem(
        entry.keyPlace,
        `${what} has no commands.start.`,
        'Say what it runs: "commands: { start: node worker.js }".',
      );
      return [];
    }
    return [
      {
        name: entry.key,
        start,
        relationships: worker.has('relationships')
          ? readRelationships(report, worker.get('relationships'), what)
          : own.relationships,
        mounts: worker.has('mounts') ? readMounts(report, worker.get('mounts'), what) : own.mounts,
        env: worker.has('variables') ? readVariables(report, worker.get('variables'), what).env : own.env,
      },
    ];
  });
}

function readCrons(report: Report, node: Located | undefined, title: string): App['crons'] {
  return mapEntries(report, node, `${title}: crons`).flatMap((entry) => {
    const what = `${title}: cron "${entry.key}"`;
    const cron = openSection(report, entry.value, {
      title: what,
      acted: ['spec', 'commands', 'cmd', 'shutdown_timeout', 'timeout'],
      fallback: entry.keyPlace,
    });
    report.note(
      entry.keyPlace,
      `${what} is not run yet.`,
      'What cannot wait may run in a worker that sleeps in between.',
    );
    const spec = textOf(report, cron.get('spec'), `${what}: spec`);
    const commands = readCommands(
      report,
      cron.get('commands'),
      `${what}: commands`,
      ['start', 'stop'],
      entry.keyPlace,
    );
    const legacy = commandOf(report, cron.get('cmd'), `${what}: cmd`);
    const start = commands('start') ?? legacy;
    if (legacy !== null) {
      report.note(
        cron.placeOf('cmd'),
        `${what}: "cmd" is read as commands.start.`,
        'Nothing has to be done.',
      );
    }
    if (spec === null)
      report.problem(entry.keyPlace, `${what} has no spec.`, 'Say when it runs: spec: "0 3 * * *".');
    if (start === null) report.problem(entry.keyPlace, `${what} has no commands.start.`, 'Say what it runs.');
    return spec === null || start === null ? [] : [{ name: entry.key, spec, start }];
  });
}

/** The Fixed product's sizes, in MiB. */
const sizes: Readonly<Record<string, number>> = {
  S: 256,
  M: 512,
  L: 1024,
  XL: 2048,
  '2XL': 4096,
  '4XL': 8192,
};

function readSize(report: Report, app: Section, title: string): number | null {
  const size = textOf(report, app.get('size'), `${title}: size`);
  if (size === null || size === 'AUTO') return null;
  const mib = Object.hasOwn(sizes, size) ? sizes[size] : undefined;
  if (mib === undefined) {
    report.problem(
      app.placeOf('size'),
      `${title}: unknown size "${size}".`,
      meant(size, [...Object.keys(sizes), 'AUTO']),
    );
    return null;
  }
  report.note(
    app.placeOf('size'),
    `${title}: size "${size}" is read as ${mib} MiB of memory.`,
    'Nothing has to be done.',
  );
  return mib;
}
