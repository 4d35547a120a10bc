import { expect, test } from 'vitest';
import { type ResolvedToolchain, toolchainEnvironment } from './toolchain.ts';

const base: ResolvedToolchain = {
  name: 'git',
  version: '2.39.5',
  digest: 'd',
  prefix: '/usr',
  bin: ['/usr/bin'],
  libraryPath: [],
  roots: [],
  env: {},
  source: 'system',
};

test('puts a materialised Node before the one of the system, whatever the order', () => {
  const node = { ...base, name: 'nodejs', bin: ['/home/x/nodejs-22/bin'] };
  const environment = toolchainEnvironment([base, node]);
  const path = String(environment.PATH).split(':');
  expect(path[0]).toBe('/home/x/nodejs-22/bin');
  expect(path.filter((directory) => directory === '/usr/bin')).toHaveLength(1);
  expect(environment).not.toHaveProperty('LD_LIBRARY_PATH');
});

test('joins libraries and variables of several tools', () => {
  const redis = { ...base, libraryPath: ['/r/lib'], env: { A: '1' } };
  const mariadb = { ...base, libraryPath: ['/m/lib', '/r/lib'], env: { B: '2' } };
  expect(toolchainEnvironment([redis, mariadb])).toMatchObject({
    LD_LIBRARY_PATH: '/r/lib:/m/lib',
    A: '1',
    B: '2',
  });
});
