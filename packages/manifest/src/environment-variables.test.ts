import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redact, Secret } from '@bough/domain/secret';
import { expect, test } from 'vitest';
import { compilePlan } from './compile-plan.ts';
import {
  buildVariables,
  type RelationshipTarget,
  relationshipHosts,
  runVariables,
  withEnvironmentFile,
} from './environment-variables.ts';
import { readManifest } from './read-manifest.ts';

const result = readManifest({
  '.bough/config.yaml': `applications:
  web:
    type: nodejs:22
    relationships: {my-db: "database:postgresql"}
    variables: {env: {GREETING: hello, PLATFORM_BRANCH: mine}, php: {memory_limit: 1G}}
    web: {commands: {start: node .}, locations: {/: {root: public}}}
services: {database: {type: postgresql:17}}
`,
});
if (result.kind !== 'manifest') throw new Error(JSON.stringify(result));
const versions = new Map(
  ['nodejs:22', 'postgresql:17'].map((want) => [want, { version: '1.2.3', digest: 'd' }]),
);
const plan = compilePlan(result.manifest, {
  kind: 'preview',
  slug: 'pr-7--shop',
  previewUrl: 'http://*.localhost:8080',
  versions,
  serviceToolchain: (service) => `${service.type}:${service.version}`,
});
const [app] = plan.common.apps;
if (app === undefined) throw new Error('no app');

const target: RelationshipTarget = {
  relationship: { name: 'my-db', target: 'database', endpoint: 'postgresql' },
  type: 'postgresql:17',
  address: { host: '127.0.0.1', port: 5433 },
  endpoint: {
    scheme: 'pgsql',
    urlScheme: 'postgresql',
    username: 'main',
    password: new Secret("p@ss/w:rd'?#%"),
    path: 'main',
    query: { is_master: true },
  },
};
const project = { slug: 'shop', entropy: new Secret('entropy-of-the-project') };
const variables = [
  { name: 'TOKEN', value: new Secret('very-secret'), secret: true },
  { name: 'COLOUR', value: new Secret('green'), secret: false },
];
const run = runVariables({
  app,
  env: app.env,
  plan,
  project,
  environment: { slug: 'pr-7--shop', kind: 'preview', branch: 'feature', commit: 'abc', deploymentId: '9' },
  treeId: 'tree',
  targets: [target],
  variables,
});
const build = buildVariables({ app, project, treeId: 'tree', variables });

function decoded(value: string | Secret | undefined): unknown {
  const text = value instanceof Secret ? value.reveal() : (value ?? '');
  return JSON.parse(Buffer.from(text, 'base64').toString());
}

test('URLs are such as drivers take: every part is percent-encoded', () => {
  const url = run.MY_DB_URL;
  if (!(url instanceof Secret)) throw new Error('the URL holds a password');
  const parsed = new URL(url.reveal());
  expect(parsed.protocol).toBe('postgresql:');
  expect(decodeURIComponent(parsed.password)).toBe("p@ss/w:rd'?#%");
  expect([parsed.host, parsed.pathname]).toEqual(['my-db.internal:5433', '/main']);
  expect(run).toMatchObject({ MY_DB_HOST: 'my-db.internal', MY_DB_PORT: '5433', MY_DB_SCHEME: 'pgsql' });
  expect(relationshipHosts([target])).toEqual({ 'my-db.internal': '127.0.0.1' });
});

test('whatever holds a secret is a Secret, in whichever form', () => {
  for (const env of [run, build]) {
    const printed = Object.values(env).map(String).join('\n');
    const unpacked =
      printed +
      Object.values(env)
        .map((value) => Buffer.from(String(value), 'base64').toString())
        .join('\n');
    for (const secret of [target.endpoint.password, project.entropy, variables[0]?.value]) {
      expect(unpacked).not.toContain(secret?.reveal());
    }
    expect(redact(printed, [new Secret('very-secret')])).toBe(printed);
    expect(env.COLOUR).toBe('green');
  }
});

test('documents say what the platform says', () => {
  expect(decoded(run.PLATFORM_RELATIONSHIPS)).toMatchObject({
    'my-db': [
      { host: 'my-db.internal', port: 5433, scheme: 'pgsql', rel: 'postgresql', service: 'database' },
    ],
  });
  expect(decoded(run.PLATFORM_ROUTES)).toEqual({
    'http://pr-7--shop.localhost:8080/': {
      primary: true,
      id: null,
      attributes: {},
      type: 'upstream',
      upstream: 'web',
      original_url: 'https://{default}/',
    },
  });
  expect(decoded(run.PLATFORM_VARIABLES)).toEqual({ 'php:memory_limit': '1G' });
  expect(run).toMatchObject({
    BOUGH_URL: 'http://pr-7--shop.localhost:8080/',
    BOUGH_COMMIT: 'abc',
    PLATFORM_BRANCH: 'feature',
    PLATFORM_ENVIRONMENT_TYPE: 'development',
    PLATFORM_DOCUMENT_ROOT: '/app/public',
    GREETING: 'hello',
  });
});

test('a build sees nothing of the environment', () => {
  expect(Object.keys(build).sort()).toEqual([
    'CI',
    'COLOUR',
    'GREETING',
    'PLATFORM_APPLICATION',
    'PLATFORM_APPLICATION_NAME',
    'PLATFORM_APP_DIR',
    // Written in the manifest, where it does nothing at run time.
    'PLATFORM_BRANCH',
    'PLATFORM_OUTPUT_DIR',
    'PLATFORM_PROJECT',
    'PLATFORM_PROJECT_ENTROPY',
    'PLATFORM_SOURCE_DIR',
    'PLATFORM_TREE_ID',
    'PLATFORM_VARIABLES',
    'TOKEN',
  ]);
  expect(decoded(build.PLATFORM_APPLICATION)).not.toHaveProperty('relationships');
});

test('.environment has the last word, and its absence does not matter', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bough-environment-'));
  try {
    const sh = () =>
      execFileSync('sh', ['-c', withEnvironmentFile('printf %s "$A"')], {
        cwd: directory,
        env: { A: 'before' },
      });
    expect(String(sh())).toBe('before');
    writeFileSync(join(directory, '.environment'), 'export A="$A and after"\n');
    expect(String(sh())).toBe('before and after');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
