import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { FileRule } from '@bough/manifest/sanitize-policy';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { insideOf } from '../src/files/copy-files.ts';
import { compileFileRules } from '../src/files/file-rules.ts';
import { maskFiles } from '../src/files/mask-files.ts';
import { placeholderFor } from '../src/files/placeholder.ts';
import { verifyFiles } from '../src/files/verify-files.ts';

/** Masking the files of a mount on a real file system. */

let home: string;
let source: string;
let target: string;
let lines: string[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'bough-files-'));
  source = join(home, 'source');
  target = join(home, 'target');
  lines = [];
  await mkdir(source);
  await mkdir(target);
});

afterEach(() => rm(home, { recursive: true, force: true }));

const allow = (...globs: string[]): FileRule => ({ action: 'allow', globs, sameSize: false });
const drop = (...globs: string[]): FileRule => ({ action: 'drop', globs, sameSize: false });
const placeholder = (globs: string[], sameSize = false): FileRule => ({
  action: 'placeholder',
  globs,
  sameSize,
});

async function put(path: string, content: string | Buffer = `the secret of ${path}`): Promise<void> {
  await mkdir(dirname(join(source, path)), { recursive: true });
  await writeFile(join(source, path), content);
}

const mask = (rules: readonly FileRule[], unmatched: 'fail' | 'drop' = 'fail') =>
  maskFiles({
    ...{ mount: 'uploads', source, target, rules, unmatched },
    signal: AbortSignal.timeout(120_000),
    line: (text) => lines.push(text),
  });

const namesIn = async (root: string) =>
  (await readdir(root, { recursive: true, withFileTypes: true })).map((entry) =>
    join(entry.parentPath, entry.name).slice(root.length + 1),
  );

/** Every byte and every name of what came out, as one text. */
async function all(): Promise<string> {
  const names = await namesIn(target);
  const parts = await Promise.all(
    names.map(async (name) => {
      const stats = await lstat(join(target, name));
      if (stats.isSymbolicLink()) return `${name} ${await readlink(join(target, name))}`;
      return stats.isFile() ? `${name} ${await readFile(join(target, name), 'latin1')}` : name;
    }),
  );
  return parts.join('\n');
}

test('thousands of files: each becomes what the first rule that matches says, and nothing is left of the rest', async () => {
  const count = 3_000;
  for (let index = 0; index < count; index += 1) {
    const folder = `customers/${index % 50}`;
    await put(`${folder}/jane-${index}.pdf`);
    if (index % 3 === 0) await put(`${folder}/photo-${index}.jpg`, Buffer.alloc(1_000 + index, 'secret'));
    if (index % 5 === 0) await put(`public/logo-${index}.svg`, `<svg id="public ${index}"/>`);
  }
  const rules = [allow('public'), placeholder(['**/*.jpg']), drop('customers/**')];
  const masked = await mask(rules);
  expect(masked).toMatchObject({
    kind: 'masked',
    report: {
      files: 4_600,
      allowed: 600,
      placeholders: 1_000,
      dropped: 3_000,
      links: 0,
      linksDropped: 0,
      specialDropped: 0,
    },
  });
  const text = await all();
  expect(text).toContain('<svg id="public 2995"/>');
  expect(text).not.toContain('secret');
  expect(text).not.toContain('jane');
  const photo = await readFile(join(target, 'customers/3/photo-3.jpg'));
  expect(photo.subarray(0, 3)).toEqual(Buffer.from([0xff, 0xd8, 0xff]));
  expect(photo).toHaveLength(placeholderFor('a.jpg', { sizeBytes: 5_000, sameSize: false }).sizeBytes);
  // Directories of which nothing was let through are not there either.
  expect((await readdir(join(target, 'customers'))).length).toBe(50);
}, 120_000);

test('permissions, times and directories are as they were', async () => {
  await put('kept/run.sh', 'echo\n');
  await put('kept/a.png', 'not really');
  await put('gone/only.txt');
  await chmod(join(source, 'kept/run.sh'), 0o750);
  await chmod(join(source, 'kept/a.png'), 0o640);
  await chmod(join(source, 'kept'), 0o2770);
  const time = new Date('2020-02-02T02:02:02Z');
  for (const path of ['kept/run.sh', 'kept/a.png', 'kept', '']) await utimes(join(source, path), time, time);
  expect(await mask([allow('**/*.sh'), placeholder(['**/*.png']), drop('**')])).toMatchObject({
    kind: 'masked',
  });
  const modeOf = async (path: string) => (await lstat(join(target, path))).mode & 0o7777;
  expect([await modeOf('kept/run.sh'), await modeOf('kept/a.png'), await modeOf('kept')]).toEqual([
    0o750, 0o640, 0o2770,
  ]);
  for (const path of ['kept/run.sh', 'kept/a.png', 'kept', ''])
    expect((await lstat(join(target, path))).mtime).toEqual(time);
  expect(await readdir(target)).toEqual(['kept']);
});

describe('undecided', () => {
  test('blocks with how many, the whole rules to paste, and not a name; nothing is made', async () => {
    await put('invoices/jane.doe@example.com.pdf');
    await put('invoices/john.pdf');
    await put('john.smith');
    await put('logo.svg');
    const masked = await mask([allow('logo.svg')]);
    expect(masked).toEqual({
      kind: 'findings',
      findings: [
        {
          code: 'undecided',
          where: 'mounts: uploads',
          message: 'No rule decides 3 of its files (2 **/*.pdf, 1 others).',
          paste: 'mounts:\n  "uploads": [{ allow: "logo.svg" }, { placeholder: "**/*.pdf" }, { drop: "**" }]',
        },
      ],
    });
    expect(JSON.stringify(masked)).not.toMatch(/jane|john|smith|invoices/);
    expect(await readdir(target)).toEqual([]);
    const pasted = [allow('logo.svg'), placeholder(['**/*.pdf']), drop('**')];
    expect(await mask(pasted)).toMatchObject({
      kind: 'masked',
      report: { allowed: 1, placeholders: 2, dropped: 1 },
    });
  });

  test('is left out where the policy says so of what it does not know', async () => {
    await put('john.smith');
    await put('logo.svg');
    expect(await mask([allow('*.svg')], 'drop')).toMatchObject({
      kind: 'masked',
      report: { allowed: 1, dropped: 1 },
    });
    expect(await readdir(target)).toEqual(['logo.svg']);
  });

  test('a name that is no text cannot be decided by a rule, and is never taken for another', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${source}/caf`), Buffer.from([0xe9])]), 'secret');
    const masked = await mask([allow('**')]);
    expect(masked).toMatchObject({ kind: 'findings', findings: [{ paste: 'mounts:\n  "uploads": drop' }] });
    expect(await mask([allow('**')], 'drop')).toMatchObject({ report: { allowed: 0, dropped: 1 } });
  });
});

test('a file with two names is as little as the stricter of them makes it', async () => {
  await put('private/a.txt', 'secret of a');
  await mkdir(join(source, 'public'));
  await link(join(source, 'private/a.txt'), join(source, 'public/a.txt'));
  await put('public/b.txt', 'open');
  await link(join(source, 'public/b.txt'), join(source, 'public/c.txt'));
  await put('public/empty.txt', '');
  await link(join(source, 'public/empty.txt'), join(source, 'public/empty2.txt'));
  const masked = await mask([allow('public'), drop('private')]);
  expect(masked).toMatchObject({ kind: 'masked', report: { allowed: 4, placeholders: 1, dropped: 1 } });
  expect(await readFile(join(target, 'public/a.txt'), 'utf8')).toBe('placeholder\n');
  expect(await readFile(join(target, 'public/c.txt'), 'utf8')).toBe('open');
});

test('links stay where they lead to something that stayed; sockets, pipes and ways out do not', async () => {
  await put('a/kept.txt', 'kept');
  await put('a/jane.txt', 'secret');
  const links: [string, string][] = [
    ['a/inside', 'kept.txt'],
    ['b/up', '../a/kept.txt'],
    ['b/chain', 'up'],
    ['folder', 'a'],
    ['out', '/etc/passwd'],
    ['b/out', '../../outside'],
    ['b/sly', '../folder/../../outside'],
    ['dropped', 'a/jane.txt'],
    ['round', 'round2'],
    ['round2', 'round'],
  ];
  await mkdir(join(source, 'b'));
  for (const [path, to] of links) await symlink(to, join(source, path));
  await promisify(execFile)('mkfifo', [join(source, 'pipe')]);
  const masked = await mask([drop('**/jane*'), allow('**')]);
  expect(masked).toMatchObject({
    kind: 'masked',
    report: { allowed: 1, dropped: 1, links: 4, linksDropped: 6, specialDropped: 1 },
  });
  expect((await namesIn(target)).sort()).toEqual([
    'a',
    'a/inside',
    'a/kept.txt',
    'b',
    'b/chain',
    'b/up',
    'folder',
  ]);
  expect(await all()).not.toMatch(/jane|secret|outside|passwd/);
  expect(insideOf({ path: 'b/x', to: './../a/' })).toBe('a/');
});

test('placeholders: small and valid of their type, or as large as the original and a hole', async () => {
  const names = [
    'a.png',
    'a.gif',
    'a.jpeg',
    'a.webp',
    'a.pdf',
    'a.svg',
    'a.json',
    'a.csv',
    'a.zip',
    'a.html',
  ];
  for (const name of names) await put(`tiny/${name}`, Buffer.alloc(70_000, 'secret'));
  for (const name of [...names, 'a.docx']) await put(`same/${name}`, Buffer.alloc(70_000, 'secret'));
  await put('same/short.pdf', 'secret');
  await put('tiny/unknown', Buffer.alloc(70_000, 'secret'));
  await put('tiny/empty.png', '');
  const masked = await mask([placeholder(['same'], true), placeholder(['**'])]);
  expect(masked).toMatchObject({ kind: 'masked', report: { placeholders: 24 } });
  expect(await all()).not.toContain('secret');
  for (const name of [...names, 'a.docx']) {
    const { size, blocks } = await lstat(join(target, 'same', name));
    expect(size).toBe(70_000);
    expect(blocks * 512).toBeLessThan(70_000);
  }
  expect((await lstat(join(target, 'same/short.pdf'))).size).toBe(6);
  expect((await lstat(join(target, 'tiny/unknown'))).size).toBe(70_000);
  expect((await lstat(join(target, 'tiny/empty.png'))).size).toBe(0);
  if (!existsSync('/usr/bin/file')) return;
  const paths = names.map((name) => join(target, 'tiny', name));
  const { stdout } = await promisify(execFile)('/usr/bin/file', ['--brief', '--mime-type', ...paths]);
  expect(stdout.trim().split('\n')).toEqual([
    ...['image/png', 'image/gif', 'image/jpeg', 'image/webp', 'application/pdf', 'image/svg+xml'],
    ...['application/json', 'text/plain', 'application/zip', 'text/html'],
  ]);
});

test('what was put there besides, or instead of a placeholder, is found', async () => {
  await put('a.txt');
  await put('b.txt');
  const rules = [allow('a.txt'), placeholder(['b.txt']), drop('**')];
  const masked = await mask(rules);
  if (masked.kind !== 'masked') throw new Error('not masked');
  const { report } = masked;
  const verify = () => {
    const what = { decide: compileFileRules(rules), restricted: new Set<string>(), report };
    return verifyFiles({ mount: 'uploads', source, target, signal: AbortSignal.timeout(60_000) }, what);
  };
  expect(await verify()).toEqual([]);
  await writeFile(join(target, 'c.txt'), 'secret');
  expect(await verify()).toMatchObject([{ code: 'counts', where: 'mounts: uploads' }]);
  await rm(join(target, 'c.txt'));
  await writeFile(join(target, 'b.txt'), 'the secret!\n');
  expect(await verify()).toMatchObject([{ message: expect.stringContaining('0 of 1 are placeholders') }]);
});
