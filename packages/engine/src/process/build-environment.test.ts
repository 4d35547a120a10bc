import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { defaultBuildEnvironment, filterNpmrc, filterVariables } from './build-environment.ts';

it('passes on what leads to a registry, without credentials', () => {
  const env = {
    ...{
      HTTPS_PROXY: 'http://user:pass@proxy:3128',
      NO_PROXY: 'localhost',
      SSL_CERT_FILE: '/etc/ssl/ca.pem',
    },
    ...{
      npm_config_registry: 'https://t:x@npm.example.com/',
      npm_config__auth: 'secret',
      NPM_CONFIG_CAFILE: '/ca.pem',
    },
    ...{
      'npm_config_//npm.example.com/:_authToken': 'secret',
      NPM_TOKEN: 'secret',
      AWS_SECRET_ACCESS_KEY: 'secret',
    },
    ...{ PATH: '/usr/bin', HTTP_PROXY: undefined, GITHUB_TOKEN: 'secret' },
  };
  expect(filterVariables(env)).toEqual({
    HTTPS_PROXY: 'http://proxy:3128',
    NO_PROXY: 'localhost',
    SSL_CERT_FILE: '/etc/ssl/ca.pem',
    npm_config_registry: 'https://npm.example.com/',
    NPM_CONFIG_CAFILE: '/ca.pem',
  });
});

/** A reference to a variable, as npm writes it. */
const reference = (name: string) => `\${${name}}`;

it('keeps of an npmrc what says where registries are', () => {
  const text = [
    ...[
      '; comment',
      'registry = https://user:pass@npm.example.com/',
      `@acme:registry=https://${reference('HOST')}/npm/`,
    ],
    ...[
      '//npm.example.com/:_authToken=secret',
      '_auth=secret',
      '//x/:_password=secret',
      'email=a@b',
      '//x/:username=u',
    ],
    ...['strict-ssl=false', 'https-proxy=http://u:p@proxy:1', 'proxy=u:p@proxy:1', 'cafile="/ca.pem"'],
    ...[
      `noproxy=${reference('UNKNOWN')}`,
      'script-shell=/bin/evil',
      'globalconfig=/root/npmrc',
      'always-auth=true',
      '//x/:keyfile=/k',
    ],
  ].join('\n');
  expect(filterNpmrc(text, { HOST: 'npm.acme.example' }).split('\n')).toEqual([
    'registry=https://npm.example.com/',
    '@acme:registry=https://npm.acme.example/npm/',
    'strict-ssl=false',
    'https-proxy=http://proxy:1',
    'proxy=proxy:1',
    'cafile="/ca.pem"',
    '',
  ]);
});

it('shows certificates that lie elsewhere, where they can be read', async () => {
  const home = await mkdtemp(join(tmpdir(), 'bough-npmrc-'));
  const [ca, other] = [join(home, 'ca.pem'), join(home, 'other.pem')];
  await writeFile(ca, '');
  await writeFile(other, '');
  await writeFile(join(home, '.npmrc'), `cafile=${other}\n_authToken=secret\n`);
  const env = {
    NODE_EXTRA_CA_CERTS: ca,
    SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt',
    PIP_CERT: `${home}/none`,
  };
  const built = await defaultBuildEnvironment(env, home);
  expect(built.caFiles).toContain(ca);
  expect(built.caFiles).toContain(other);
  expect(built.caFiles).not.toContain('/etc/ssl/certs/ca-certificates.crt');
  expect(built.caFiles).not.toContain(env.PIP_CERT);
  expect(built.npmrc).toContain(`cafile=${other}`);
  expect(built.npmrc).not.toContain('secret');
  await rm(home, { recursive: true });
});
