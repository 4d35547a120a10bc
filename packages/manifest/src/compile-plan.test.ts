import { Secret } from '@bough/domain/secret';
import { describe, expect, test } from 'vitest';
import { checkAppDirectories } from './app-directory.ts';
import { artifactKey } from './artifact-key.ts';
import { type CompileOptions, compilePlan, toolchainsOf } from './compile-plan.ts';
import type { Manifest, ServiceEntry } from './manifest.ts';
import type { Plan } from './plan.ts';
import { readManifest } from './read-manifest.ts';

const serviceToolchain = (service: ServiceEntry) => `${service.type}:${service.version}`;

function manifestOf(text: string): Manifest {
  const result = readManifest({ '.bough/config.yaml': text });
  if (result.kind !== 'manifest') throw new Error(JSON.stringify(result));
  return result.manifest;
}

function compile(text: string, options: Partial<CompileOptions> = {}): Plan {
  const manifest = manifestOf(text);
  const wants = toolchainsOf(manifest, serviceToolchain);
  return compilePlan(manifest, {
    kind: 'preview',
    slug: 'pr-7--shop',
    previewUrl: 'http://*.localhost:8080',
    versions: new Map(
      wants.map((want) => [want, { version: `${want.split(':')[1]}.1.2`, digest: `d-${want}` }]),
    ),
    serviceToolchain,
    ...options,
  });
}

const web = 'applications:\n  web: {type: nodejs:22, web: {commands: {start: node .}}}\n';
const urls = (plan: Plan) =>
  plan.overlay.hosts.map(({ pattern, url, redirectTo }) => [pattern, url, redirectTo]);

describe('routes', () => {
  test('none at all: the app that serves is the default route', () => {
    expect(urls(compile(web))).toEqual([['https://{default}/', 'http://pr-7--shop.localhost:8080/', null]]);
  });

  test('hosts are one label deep and follow the pattern of preview URLs', () => {
    const text = `${web}routes:
  "https://{default}/": {upstream: "web:http"}
  "https://api.{all}/v1": {upstream: "web:http", id: api}
  "https://www.{default}": {type: redirect, to: "https://{default}/"}
  "http://{default}/": {type: redirect, to: "https://{default}/"}
  "https://shop.example.com/": {upstream: "web:http"}
`;
    expect(urls(compile(text))).toEqual([
      ['https://api.{default}/v1/', 'http://api--pr-7--shop.localhost:8080/v1/', null],
      ['https://shop.example.com/', 'http://shop-example-com--pr-7--shop.localhost:8080/', null],
      [
        'https://www.{default}/',
        'http://www--pr-7--shop.localhost:8080/',
        'http://pr-7--shop.localhost:8080/',
      ],
      ['https://{default}/', 'http://pr-7--shop.localhost:8080/', null],
    ]);
    const production = compile(text, {
      kind: 'production',
      slug: 'shop',
      previewUrl: 'https://*.preview.example.com',
    });
    expect(production.overlay.hosts.map(({ host }) => host)).toEqual([
      'api--shop.preview.example.com',
      'shop.example.com',
      'www--shop.preview.example.com',
      'shop.preview.example.com',
    ]);
  });

  test('the first upstream route is primary, unless one says that it is', () => {
    const routes = (extra: string) =>
      compile(
        `${web}routes:\n  "https://b.{default}/": {upstream: "web:http"}\n  "https://a.{default}/": {upstream: "web:http"${extra}}\n`,
      )
        .common.routes.filter((route) => route.primary)
        .map((route) => route.pattern);
    expect(routes('')).toEqual(['https://b.{default}/']);
    expect(routes(', primary: true')).toEqual(['https://a.{default}/']);
  });

  test('labels are at most 63 characters and stay distinct', () => {
    const slug = `pr-7--${'s'.repeat(57)}`;
    const plan = compile(
      `${web}routes:\n  "https://aa.{default}/": {upstream: "web:http"}\n  "https://ab.{default}/": {upstream: "web:http"}\n`,
      { slug },
    );
    const labels = plan.overlay.hosts.map(({ host }) => host.split('.')[0] ?? '');
    expect(new Set(labels).size).toBe(2);
    expect(Math.max(...labels.map((label) => label.length))).toBeLessThanOrEqual(63);
  });

  test('two routes that become one address are refused', () => {
    const text = `${web}routes:\n  "https://a_b.{default}/": {upstream: "web:http"}\n  "https://a-b.{default}/": {upstream: "web:http"}\n`;
    expect(() => compile(text)).toThrow(/are both http:\/\/a-b--pr-7--shop/);
  });
});

describe('fingerprint', () => {
  const shop = (order: readonly string[]) =>
    `applications:\n${order.map((name) => `  ${name}: {type: nodejs:22, web: {commands: {start: x}}, relationships: {db: }}\n`).join('')}services: {db: {type: postgresql:17}}\nroutes: {"https://{default}/": {upstream: "a:http"}}\n`;

  test('does not depend on the order of names, nor on the environment', () => {
    const orders = [
      ['a', 'b', 'c'],
      ['c', 'a', 'b'],
      ['b', 'c', 'a'],
    ];
    const fingerprints = orders.flatMap((order) => [
      compile(shop(order)).fingerprint,
      compile(shop(order), { kind: 'production', slug: 'shop', previewUrl: 'https://*.example.com' })
        .fingerprint,
    ]);
    expect(new Set(fingerprints).size).toBe(1);
  });

  test('changes with an exact version', () => {
    const version = (patch: string) =>
      compile(web, { versions: new Map([['nodejs:22', { version: `22.1.${patch}`, digest: 'd' }]]) })
        .fingerprint;
    expect(version('1')).not.toBe(version('2'));
  });

  test('survives the store', () => {
    const plan = compile(shop(['a', 'b']));
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  });
});

describe('builds', () => {
  const hookOf = (keys: string) =>
    compile(`applications: {web: {type: nodejs:22, ${keys}}}`).common.apps[0]?.build;

  test('a Node app installs its dependencies first, unless its flavour is none', () => {
    expect(hookOf('hooks: {build: npm run build}')?.hook).toMatch(
      /npm ci[\s\S]*npm install[\s\S]*npm run build\n$/,
    );
    expect(hookOf('build: {flavor: none}, hooks: {build: make}')).toEqual({ flavor: 'none', hook: 'make\n' });
    expect(hookOf('build: {flavor: none}')).toEqual({ flavor: 'none', hook: null });
  });

  test('equal inputs have equal keys, and each input counts', () => {
    const app = compile(web).common.apps[0];
    if (app === undefined) throw new Error('no app');
    const base = {
      app,
      treeId: 't',
      env: { A: 'a' },
      hmacKey: new Secret('k'),
      engine: 'process',
      architecture: 'x64',
      trust: 'trusted' as const,
    };
    const others = [
      { ...base, treeId: 'u' },
      { ...base, app: { ...app, build: { ...app.build, hook: 'other' } } },
      { ...base, app: { ...app, toolchains: [] } },
      { ...base, env: { A: 'b' } },
      { ...base, env: { A: new Secret('a') } },
      { ...base, env: { A: new Secret('b') } },
      { ...base, engine: 'docker' },
      { ...base, architecture: 'arm64' },
      { ...base, trust: 'untrusted' as const },
    ];
    const keys = [base, ...others].map(artifactKey);
    expect(new Set(keys).size).toBe(keys.length);
    expect(artifactKey({ ...base, app: { ...app, deployHook: 'x', env: {}, mounts: [] } })).toBe(
      artifactKey(base),
    );
    expect(artifactKey({ ...base, env: { A: new Secret('a') }, hmacKey: new Secret('l') })).not.toBe(
      artifactKey({ ...base, env: { A: new Secret('a') } }),
    );
  });
});

test('volumes of different apps never get one name', () => {
  const plan = compile(`applications:
  web: {type: nodejs:22, mounts: {x-y: {source: storage}, tmp: {source: tmp}}, workers: {q: {commands: {start: x}}}}
  web-x: {type: nodejs:22, mounts: {y: {source: storage}, theirs: {source: storage, service: web, source_path: x-y}}}
`);
  const [first, second] = plan.common.apps;
  expect(first?.mounts.find(({ path }) => path === 'x-y')?.volume).toBe('web:x-y');
  expect(first?.workers[0]?.mounts.find(({ path }) => path === 'x-y')?.volume).toBe('web:x-y');
  expect(first?.workers[0]?.mounts.find(({ path }) => path === 'tmp')?.volume).not.toBe(
    first?.mounts.find(({ path }) => path === 'tmp')?.volume,
  );
  expect(second?.mounts.find(({ path }) => path === 'theirs')?.volume).toBe('web:x-y');
  expect(second?.mounts.find(({ path }) => path === 'y')?.volume).toMatch(/^web-x:y~[0-9a-f]{8}$/);
});

test('an app directory that is not in the tree is a problem where source.root is written', () => {
  const manifest = manifestOf(
    'applications:\n  web:\n    type: nodejs:22\n    source:\n      root: /shpo/\n',
  );
  expect(checkAppDirectories(manifest, ['shop/package.json'], 'at commit abcdef0')).toMatchObject([
    {
      line: 5,
      column: 13,
      message: 'app "web": directory "shpo" is not in the repository at commit abcdef0.',
    },
  ]);
  expect(checkAppDirectories(manifest, ['shpo/package.json'], 'at commit abcdef0')).toEqual([]);
});
