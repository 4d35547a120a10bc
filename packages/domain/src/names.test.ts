import { describe, expect, test } from 'vitest';
import { environmentSlug, hostLabel, shortHash, slugify, volumeId, workloadId } from './names.ts';

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

describe('slugify', () => {
  test.each([
    ['Shop', 'shop'],
    ['feature/New_Checkout', 'feature-new-checkout'],
    ['--a--b--', 'a-b'],
    ['Crème brûlée', 'cre-me-bru-le-e'],
    ['v1.2.3', 'v1-2-3'],
  ])('%j becomes %j', (text, slug) => {
    expect(slugify(text)).toBe(slug);
  });

  test('never holds two hyphens in a row: they separate the parts of a host', () => {
    for (const text of ['a--b', 'a - b', 'a/-/b', 'a…b', '__init__'])
      expect(slugify(text)).not.toContain('--');
  });

  test('what has no letters gets a name all the same, and different texts different ones', () => {
    expect(slugify('日本語')).toMatch(/^x[0-9a-f]{8}$/);
    expect(slugify('日本語')).not.toBe(slugify('中文'));
    expect(slugify('')).toMatch(LABEL);
  });
});

describe('hostLabel', () => {
  test('joins with two hyphens', () => {
    expect(hostLabel(['api', 'pr-7', 'shop'])).toBe('api--pr-7--shop');
  });

  test.each([62, 63, 64, 65, 100, 255, 1000])('a whole of %i characters fits a host label', (length) => {
    const label = hostLabel(['b'.repeat(length - 6), 'shop']);
    expect(label.length).toBeLessThanOrEqual(63);
    expect(label).toMatch(LABEL);
  });

  test('63 characters stay as they are, 64 are cut', () => {
    expect(hostLabel(['a'.repeat(63)])).toBe('a'.repeat(63));
    expect(hostLabel(['a'.repeat(64)])).toBe(`${'a'.repeat(54)}-${shortHash('a'.repeat(64))}`);
  });

  test('what is cut differs when the whole differs, wherever that is', () => {
    const long = 'b'.repeat(80);
    const labels = [
      [long, 'shop'],
      [long, 'shop2'],
      [`${long}c`, 'shop'],
      ['x', long],
    ].map(hostLabel);
    expect(new Set(labels).size).toBe(labels.length);
  });

  test('a cut beside a hyphen leaves no three of them', () => {
    for (let length = 48; length < 60; length += 1)
      expect(hostLabel(['a'.repeat(length), 'b'.repeat(30)])).not.toMatch(/---/);
  });
});

test('production has the project for its slug, everything else says what it is', () => {
  expect(environmentSlug('production', 'shop')).toBe('shop');
  expect(environmentSlug('pr-7', 'shop')).toBe('pr-7--shop');
});

test('ids name installation, environment and thing, so that two installations never meet', () => {
  const of = { environmentId: '12', name: 'app:web' };
  expect(workloadId({ installationId: 'i1', ...of })).toBe('i1-e12-app-web');
  expect(workloadId({ installationId: 'i1', ...of, release: '4' })).toBe('i1-e12-app-web-r4');
  expect(workloadId({ installationId: 'i2', ...of })).not.toBe(workloadId({ installationId: 'i1', ...of }));
  expect(volumeId({ installationId: 'i1', environmentId: '12', name: 'mount:app:uploads' })).toBe(
    'i1-e12-mount-app-uploads',
  );
});

test('volume ids are bounded, and long names that start alike stay apart', () => {
  const id = (name: string) => volumeId({ installationId: 'i1', environmentId: '12', name });
  const long = `mount:app:${'deep/'.repeat(40)}`;
  expect(id(`${long}a`).length).toBeLessThanOrEqual(63);
  expect(id(`${long}a`)).not.toBe(id(`${long}b`));
});

test('workloads of alike names are different workloads', () => {
  const ids = ['my-app', 'my_app', 'my:app', 'My-app', 'service app'].map((name) =>
    workloadId({ installationId: 'i1', environmentId: '1', name }),
  );
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(LABEL);
});

test('volume ids of one environment differ when the names differ', () => {
  const names = ['mount:app:a/b', 'mount:app:a-b', 'mount:app:a_b', 'service:app-a-b', 'mount:app:A/b'];
  const ids = names.map((name) => volumeId({ installationId: 'i1', environmentId: '1', name }));
  expect(new Set(ids).size).toBe(names.length);
});
