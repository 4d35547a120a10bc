import { expect, test } from 'vitest';
import { cloningFindings } from './cloning-findings.ts';
import { parseSize } from './storage.ts';

test.each([
  ['50G', 50e9],
  ['800m', 800e6],
  ['1.5 TiB', 1.5 * 1024 ** 4],
])('%s is a size', (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each(['50', 'G', '-1G', '50 elephants', ''])('"%s" is none', (text) =>
  expect(() => parseSize(text)).toThrow(/is not a size/),
);

const status = {
  tried: [{ kind: 'copy' as const, ok: true, why: 'a directory was copied' }],
  ...{ path: '/home/volumes', volumes: 0, snapshots: 0, space: { totalBytes: 10e9, freeBytes: 5e9 } },
};
const pool = {
  ...{ fileSystem: 'btrfs' as const, sizeBytes: 50e9, why: '', createdAt: '', isMounted: true },
  ...{ mountCommand: 'sudo mount it', image: '/home/pool/image', imageBytes: 1e9 },
  ...{ host: { totalBytes: 100e9, freeBytes: 60e9 }, isOvercommitted: false },
};

test('doctor says what a clone costs, and the way out where that is much', () => {
  expect(cloningFindings({ ...status, kind: 'copy' })).toMatchObject([
    { status: 'warning', fix: expect.stringContaining('bough storage init') },
  ]);
  expect(cloningFindings({ ...status, kind: 'btrfs', pool })).toMatchObject([
    { status: 'ok', message: expect.stringContaining('In a pool of 50.0 GB') },
  ]);
  expect(
    cloningFindings({ ...status, kind: undefined, tried: [], pool: { ...pool, isMounted: false } }),
  ).toMatchObject([{ status: 'problem', fix: 'Run sudo mount it' }]);
  expect(
    cloningFindings({ ...status, kind: 'btrfs', pool: { ...pool, isOvercommitted: true } }),
  ).toMatchObject([{ status: 'ok' }, { status: 'warning' }]);
});
