import { describe, expect, test } from 'vitest';
import { DEFAULT_FORKS } from './forks-policy.ts';
import type { Manifest, Problem } from './manifest.ts';
import { DEFAULT_PREVIEWS } from './preview-policy.ts';
import { missingIncludes, readManifest } from './read-manifest.ts';

const CONFIG = '.bough/config.yaml';

function problemsOf(files: string | Record<string, string>): readonly Problem[] {
  const result = readManifest(typeof files === 'string' ? { [CONFIG]: files } : files);
  if (result.kind !== 'problems') throw new Error(`expected problems, got ${result.kind}`);
  return result.problems;
}

function manifestOf(files: string | Record<string, string>): Manifest {
  const result = readManifest(typeof files === 'string' ? { [CONFIG]: files } : files);
  if (result.kind !== 'manifest') throw new Error(`expected a manifest, got ${JSON.stringify(result)}`);
  return result.manifest;
}

/** `line:column message`. */
function said(problems: readonly Problem[]): string[] {
  return problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

const app = (lines: string) => `applications:\n  web:\n    type: nodejs:22\n${lines}`;

describe('problems name their place', () => {
  const cases: [string, string, string, RegExp][] = [
    ['a tab', 'applications:\n\tweb:\n', '2:1 A tab is used for indentation; YAML wants spaces.', /spaces/],
    [
      'a tab after spaces',
      'applications:\n  web:\n  \ttype: nodejs:22\n',
      '3:3 A tab is used for indentation; YAML wants spaces.',
      /spaces/,
    ],
    ['a second colon', 'applications: web: x\n', '1:15 There is a second ": " on this line.', /quotes/],
    ['an unclosed quote', 'applications: "x\n', '2:1 Something that was opened is not closed', /quote/],
    ['an unknown key', app('    hook: {}\n'), '4:5 app "web": unknown key "hook".', /Did you mean "hooks"/],
    [
      'an unknown top-level key',
      `${app('')}aplications: {}\n`,
      '4:1 Unknown key "aplications".',
      /"applications"/,
    ],
    [
      'a wrong type',
      app('    hooks:\n      build: [a]\n'),
      '5:14 app "web": hooks.build must be text, not a list.',
      /text/,
    ],
    [
      'an app without type',
      'applications:\n  web:\n    hooks: {}\n',
      '3:5 app "web" has no type.',
      /nodejs:22/,
    ],
    [
      'no version',
      'applications:\n  web:\n    type: nodejs\n',
      '3:11 app "web": type: "nodejs" is not a type',
      /nodejs:22/,
    ],
    [
      'a wrong version',
      'applications:\n  web:\n    type: nodejs:lts\n',
      '3:11 app "web": type: "nodejs:lts"',
      /numbers/,
    ],
    [
      'a missing service',
      `${app('    relationships:\n      db: databse:postgresql\n')}services:\n  database: {type: postgresql:17}\n`,
      '5:11 app "web": relationship "db": there is no service or app "databse".',
      /Did you mean "database"/,
    ],
    [
      'a missing endpoint',
      `${app('    relationships:\n      db: "database:mysql"\n')}services:\n  database: {type: postgresql:17}\n`,
      '5:11 app "web": relationship "db": service "database" has no endpoint "mysql".',
      /"database:postgresql"/,
    ],
    [
      'overlapping mounts',
      app('    mounts:\n      var: {source: storage}\n      /var/cache/: {source: tmp}\n'),
      '6:7 app "web": mount "/var/cache/" overlaps mount "var" (line 5).',
      /side by side/,
    ],
    [
      'a root outside',
      app('    source:\n      root: ../x\n'),
      '5:13 app "web": source.root "../x"',
      /relative/,
    ],
    [
      'a route to nowhere',
      `${app('')}routes:\n  "https://{default}/": {type: upstream, upstream: "wbe:http"}\n`,
      '5:52 route "https://{default}/": there is no app "wbe".',
      /Did you mean "web"/,
    ],
    [
      'a route that is no address',
      `${app('')}routes:\n  "{default}": {upstream: "web:http"}\n`,
      '5:3 route "{default}"',
      /https/,
    ],
    [
      'a worker without start',
      app('    workers:\n      q: {}\n'),
      '5:7 app "web": worker "q" has no commands.start.',
      /start/,
    ],
    ['a duplicate key', app('    hooks: {}\n    hooks: {}\n'), '5:5 "hooks" is written twice', /Keep one/],
    ['a circular alias', 'applications: &a\n  web: *a\n', '2:8 The alias "*a" contains itself.', /circle/],
    [
      'an unknown alias',
      'applications:\n  web: *b\n',
      '2:8 There is no anchor "&b" above this alias.',
      /Define/,
    ],
    [
      'two documents',
      'applications: {}\n---\na: 1\n',
      '2:1 A second document starts here (---).',
      /file of its own/,
    ],
    [
      'other sanitization',
      `${app('')}data:\n  sanitize: mask\n`,
      '5:13 data: sanitize must be rules, or the word none.',
      /sanitize: none/,
    ],
    ['rules', `${app('')}data:\n  rules: []\n`, '5:3 data: unknown key "rules".', /sanitize/],
    [
      'other access',
      `${app('')}previews:\n  access: opne\n`,
      '5:11 previews: access cannot be "opne".',
      /Did you mean "open"/,
    ],
    [
      'an unknown trigger',
      `${app('')}previews:\n  triggers: push\n`,
      '5:13 previews: triggers cannot be "push".',
      /all, comment/,
    ],
    [
      'a condition that says nothing',
      `${app('')}previews:\n  triggers: [{ label: }]\n`,
      '5:14 previews: triggers: a condition that says nothing.',
      /label: preview/,
    ],
    [
      'paths that only exclude',
      `${app('')}previews:\n  triggers: { paths: ["!docs/**"] }\n`,
      '5:22 previews: triggers: paths only excludes',
      /Begin with/,
    ],
    [
      'a path from elsewhere',
      `${app('')}previews:\n  triggers: { paths: [/web] }\n`,
      '5:23 previews: triggers: paths: "/web" must begin at the repository',
      /web/,
    ],
    [
      'no length of time',
      `${app('')}previews:\n  idle: 30 minutes\n`,
      '5:9 previews: idle must be a length of time, not "30 minutes".',
      /30m/,
    ],
    [
      'removed before it sleeps',
      `${app('')}previews:\n  idle: 2d\n  expires: 1d\n`,
      '6:3 previews: expires must be longer than idle.',
      /14d/,
    ],
    [
      'drafts maybe',
      `${app('')}previews:\n  drafts: maybe\n`,
      '5:11 previews: drafts must be true, false or lazy, not "maybe".',
      /lazy/,
    ],
    [
      'a limit of none',
      `${app('')}previews:\n  limits: { awake: 0 }\n`,
      '5:20 previews: limits: awake must be a whole number from 1 to 10000, not "0".',
      /digits/,
    ],
    ['no app', 'services: {}\n', '1:1 The manifest declares no app.', /applications/],
  ];
  test.each(cases)('%s', (_what, text, place, hint) => {
    const problems = problemsOf(text);
    const found = problems.find((problem) =>
      `${problem.line}:${problem.column} ${problem.message}`.startsWith(place),
    );
    expect(found, said(problems).join('\n')).toBeDefined();
    expect(found?.hint).toMatch(hint);
    expect(found?.file).toBe(CONFIG);
  });

  test('several at once, in order', () => {
    const text = app(
      '    hook: {}\n    mounts:\n      "": {source: storage}\n    relationships:\n      db: nothing:http\n',
    );
    expect(said(problemsOf(text)).map((line) => line.split(' ')[0])).toEqual(['4:5', '6:7', '8:11']);
  });

  test('at most fifty', () => {
    const keys = Array.from({ length: 300 }, (_, index) => `    k${index}: 1\n`).join('');
    expect(problemsOf(app(keys))).toHaveLength(50);
  });

  test('apps that need each other in a circle', () => {
    const text = `applications:
  a: {type: nodejs:22, relationships: {b: "b:http"}}
  b: {type: nodejs:22, relationships: {c: "c:http"}}
  c: {type: nodejs:22, relationships: {a: "a:http"}}
`;
    expect(problemsOf(text)[0]?.message).toBe('Apps need each other in a circle: a → b → c → a.');
  });

  test('a name that occurs in two files names both places', () => {
    const [problem] = problemsOf({ '.upsun/a.yaml': app(''), '.upsun/b.yaml': app('') });
    expect(problem).toMatchObject({ file: '.upsun/b.yaml', line: 2, column: 3 });
    expect(problem?.message).toContain('.upsun/a.yaml:2:3');
  });
});

describe('hostile files are refused, quickly and without harm', () => {
  test.each([
    ['100,000 brackets', `a: ${'['.repeat(100_000)}`],
    ['100,000 dashes', '- '.repeat(60_000)],
    ['a staircase', Array.from({ length: 400 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['a million laughs', laughs()],
    ['200 KB', `# ${'x'.repeat(200_000)}`],
  ])('%s', (_what, text) => {
    expect(problemsOf(text).length).toBeGreaterThan(0);
  });

  test('a key named __proto__ changes nothing', () => {
    const manifest = manifestOf(app('    variables:\n      env:\n        __proto__: "x"\n'));
    expect(Object.keys(manifest.apps[0]?.env ?? {})).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});

function laughs(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level += 1) {
    lines.push(
      `a${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    );
  }
  return lines.join('\n');
}

describe('what is accepted', () => {
  test('no manifest is absent, and files in subdirectories do not count', () => {
    expect(readManifest({}).kind).toBe('absent');
    expect(readManifest({ '.upsun/local/project.yaml': 'id: x' }).kind).toBe('absent');
  });

  test('legacy forms, each with a note that says what it became', () => {
    const manifest = manifestOf(`applications:
  web:
    type: nodejs:22
    size: L
    relationships: {database: , other: "database:postgresql", third: {service: database}}
    mounts: {a: {source: local}, b: "shared:files/b", c: {source: temporary}, d: {source: storage, source_path: ""}}
    crons: {nightly: {spec: "0 3 * * *", cmd: "true"}}
services: {database: {type: postgresql:17}}
`);
    const [web] = manifest.apps;
    expect(web?.relationships.map(({ name, target, endpoint }) => `${name} ${target} ${endpoint}`)).toEqual([
      'database database postgresql',
      'other database postgresql',
      'third database postgresql',
    ]);
    expect(web?.mounts.map(({ path, source, sourcePath }) => `${path} ${source} ${sourcePath}`)).toEqual([
      'a storage a',
      'b storage b',
      'c tmp c',
      'd storage ',
    ]);
    expect(web?.memoryMib).toBe(1024);
    expect(web?.crons).toEqual([{ name: 'nightly', spec: '0 3 * * *', start: 'true' }]);
    expect(manifest.notes.map((note) => note.message).join('\n')).toMatch(
      /"local".*"shared:files\/b".*"cmd".*size "L"/s,
    );
  });

  test('merge keys and anchors; the explicit key wins', () => {
    const manifest = manifestOf(`applications:
  a: &base
    type: nodejs:22
    hooks: {deploy: "true"}
  b:
    <<: *base
    hooks: {deploy: "false"}
`);
    expect(manifest.apps.map(({ type, hooks }) => [type, hooks.deploy])).toEqual([
      ['nodejs:22', 'true'],
      ['nodejs:22', 'false'],
    ]);
  });

  test('a stack without a type', () => {
    const manifest = manifestOf('applications:\n  web: {stack: ["nodejs@22", hugo]}\n');
    expect(manifest.apps[0]).toMatchObject({ type: 'composable', toolchains: ['nodejs:22', 'hugo'] });
  });

  test('values of variables are kept as written', () => {
    const manifest = manifestOf(app('    variables: {env: {A: 1.10, B: false, C: [1], D: , E: "x"}}\n'));
    expect(manifest.apps[0]?.env).toEqual({ A: '1.10', B: 'false', C: '[1]', D: '', E: 'x' });
  });

  test('workers inherit what they do not override', () => {
    const manifest = manifestOf(
      app(
        '    variables: {env: {A: a}}\n    workers:\n      p: {commands: {start: x}}\n      q: {commands: {start: x}, variables: {env: {B: b}}}\n',
      ),
    );
    expect(manifest.apps[0]?.workers.map((worker) => worker.env)).toEqual([{ A: 'a' }, { B: 'b' }]);
  });

  test('.bough wins over .upsun, and says so', () => {
    const manifest = manifestOf({
      [CONFIG]: app(''),
      '.upsun/config.yaml': 'applications: {old: {type: php:8.4}}',
    });
    expect(manifest).toMatchObject({ flavour: 'bough', files: [CONFIG] });
    expect(manifest.notes[0]?.message).toContain('.upsun/ is not read');
  });

  test('a .bough with nothing but a policy adds it to .upsun', () => {
    const manifest = manifestOf({
      '.bough/policy.yaml': 'previews: {access: basic}\ndata: {sanitize: none}\n',
      '.upsun/config.yaml': app(''),
    });
    expect(manifest).toMatchObject({
      flavour: 'upsun',
      previews: { access: 'basic' },
      data: {
        sanitize: 'none',
        refresh: null,
        keep: 2,
        rehearsal: { enabled: true, stallBudgetMs: 2_000 },
        source: {},
      },
    });
  });

  test('a policy of previews is read whole, and nothing written is the default', () => {
    const text = `${app('')}previews:
  access: basic
  triggers:
    - comment
    - { label: preview, paths: ["web/**", "!**/*.md"] }
  drafts: lazy
  bots: false
  trusted_bots: ["renovate[bot]", dependabot]
  lazy: true
  idle: 30m
  expires: 14d
  limits: { environments: 20, awake: 5 }
  priorities: { urgent: 10, chore: -5 }
`;
    expect(manifestOf(text).previews).toEqual({
      forks: DEFAULT_FORKS,
      access: 'basic',
      triggers: [{ kind: 'comment' }, { kind: 'when', label: 'preview', paths: ['web/**', '!**/*.md'] }],
      drafts: 'lazy',
      bots: 'no',
      trustedBots: ['renovate[bot]', 'dependabot'],
      lazy: true,
      idleSeconds: 1_800,
      expiresSeconds: 14 * 86_400,
      limits: { environments: 20, awake: 5 },
      priorities: [
        { label: 'urgent', priority: 10 },
        { label: 'chore', priority: -5 },
      ],
    });
    expect(manifestOf(app('')).previews).toEqual(DEFAULT_PREVIEWS);
    expect(manifestOf(`${app('')}previews:\n  idle: never\n`).previews).toEqual(DEFAULT_PREVIEWS);
  });

  test('without a data policy nothing is cloned', () => {
    expect(manifestOf(app(''))).toMatchObject({ data: null, previews: { access: null } });
    expect(manifestOf(`${app('')}data:\n`).data).toBeNull();
  });
});

describe('!include', () => {
  const config = `applications:
  web:
    type: nodejs:22
    source: {root: shop}
    hooks:
      build: !include {type: string, path: hooks/build.sh}
`;

  test('is relative to the app, and what it needs can be asked for', () => {
    expect(missingIncludes({ [CONFIG]: config })).toEqual(['shop/hooks/build.sh']);
    const manifest = manifestOf({ [CONFIG]: config, 'shop/hooks/build.sh': 'make\n' });
    expect(manifest.apps[0]?.hooks.build).toBe('make\n');
  });

  test('of a file that is not there is a problem at its place', () => {
    expect(said(problemsOf(config))[0]).toMatch(/^6:23 !include "hooks\/build.sh": there is no file/);
  });

  test('does not leave the repository', () => {
    const [problem] = problemsOf({ [CONFIG]: config.replace('hooks/build.sh', '../../etc/passwd') });
    expect(problem?.message).toContain('leaves the repository');
  });

  test('of a whole app is relative to the manifest, and its problems name its own file', () => {
    const [problem] = problemsOf({
      [CONFIG]: 'applications:\n  web: !include apps/web.yaml\n',
      '.bough/apps/web.yaml': 'type: nodejs\n',
    });
    expect(problem).toMatchObject({ file: '.bough/apps/web.yaml', line: 1, column: 7 });
  });
});
