import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Forge, RepositoryRef } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import { withoutUserinfo } from './mirror.ts';
import { runGit } from './run-git.ts';
import { listEntries, type SourceAt, writeTree } from './source.ts';

/** Where submodules come from. */
export interface SubmoduleSource {
  readonly forge: Pick<Forge, 'fetchSubmodule'>;
  readonly repository: RepositoryRef;
  /** Address of the repository, which relative urls start from: `https://github.com/acme/shop.git`. */
  readonly url: string;
  /** Each submodule gets a mirror of its own in this directory, shared by all commits that use it. */
  readonly mirrors: string;
  /** No credentials: the commit's author is not trusted. */
  readonly anonymous?: boolean;
}

const SUBMODULES_MAX = 50;
const DEPTH_MAX = 4;

interface Submodule {
  readonly path: string;
  readonly commit: string;
  readonly url: string | undefined;
}

/** Fills in the submodules that `.gitmodules` names with relative addresses or ones on the forge's host, nested too. */
export async function checkoutSubmodules(
  source: SourceAt & { into: string; submodules?: SubmoduleSource },
  depth = 0,
): Promise<{ submodules: string[]; skipped: { path: string; reason: string }[] }> {
  const submodules: string[] = [];
  const skipped: { path: string; reason: string }[] = [];
  const named = await listSubmodules(source);
  for (const [index, submodule] of named.entries()) {
    const { path } = submodule;
    const from = source.submodules;
    const problem =
      from === undefined
        ? 'submodules are not fetched here'
        : index >= SUBMODULES_MAX
          ? `only ${SUBMODULES_MAX} submodules are fetched`
          : depth >= DEPTH_MAX
            ? `submodules are nested deeper than ${DEPTH_MAX}`
            : submodule.url === undefined
              ? '.gitmodules has no url for it'
              : undefined;
    if (problem !== undefined || from === undefined || submodule.url === undefined) {
      skipped.push({ path, reason: problem ?? 'it cannot be fetched' });
      continue;
    }
    const url = absoluteUrl(submodule.url, from.url);
    const mirror = join(from.mirrors, `${createHash('sha256').update(url).digest('hex').slice(0, 32)}.git`);
    if ((await fetchOne(from, { url, mirror, commit: submodule.commit }, source, path)) === 'elsewhere') {
      skipped.push({ path, reason: `${withoutUserinfo(url)} is not on the forge's host` });
      continue;
    }
    const inner = {
      ...source,
      mirror,
      commit: submodule.commit,
      into: join(source.into, path),
      submodules: { ...from, url },
    };
    await writeTree(inner);
    const nested = await checkoutSubmodules(inner, depth + 1);
    submodules.push(path, ...nested.submodules.map((below) => `${path}/${below}`));
    skipped.push(...nested.skipped.map((below) => ({ ...below, path: `${path}/${below.path}` })));
  }
  return { submodules, skipped };
}

async function fetchOne(
  from: SubmoduleSource,
  wanted: { url: string; mirror: string; commit: string },
  { signal }: SourceAt,
  path: string,
): Promise<'fetched' | 'elsewhere'> {
  const anonymous = from.anonymous === true ? { anonymous: true } : {};
  try {
    return await from.forge.fetchSubmodule(from.repository, {
      ...wanted,
      ...anonymous,
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    throw new ForgeError({
      code: error.code,
      message: `The submodule ${path} cannot be fetched: ${error.message}`,
      hint: 'Check its url in .gitmodules. An App’s credentials cover the project’s own repository and public ones; a token covers what its owner may read.',
      tail: error.tail,
      retryable: error.retryable,
      cause: error,
    });
  }
}

async function listSubmodules(source: SourceAt): Promise<Submodule[]> {
  const entries = await listEntries({ ...source, path: '' });
  const links = entries.filter(({ type }) => type === 'commit');
  if (links.length === 0) return [];
  const urls = await urlsByPath(source);
  return links.map(({ path, id }) => ({ path, commit: id, url: urls.get(path) }));
}

/** git reads `.gitmodules` itself, so that its rules for quoting and sections hold. */
async function urlsByPath({ git, mirror, commit, signal }: SourceAt): Promise<Map<string, string>> {
  const { code, stdout } = await runGit({
    git,
    signal,
    timeoutMs: 30_000,
    args: [`--git-dir=${mirror}`, 'config', '--null', `--blob=${commit}:.gitmodules`, '--list'],
  });
  if (code !== 0) return new Map();
  const paths = new Map<string, string>();
  const urls = new Map<string, string>();
  for (const line of stdout.toString('utf8').split('\0')) {
    const match = /^submodule\.(.+)\.(path|url)\n(.*)$/s.exec(line);
    if (!match) continue;
    const [, name = '', key, value = ''] = match;
    (key === 'path' ? paths : urls).set(name, value);
  }
  return new Map(
    [...paths].flatMap(([name, path]) => {
      const url = urls.get(name);
      return url === undefined ? [] : [[path, url] as const];
    }),
  );
}

/** `./x` and `../x` start from the repository's own address, as git-submodule(1) says. */
function absoluteUrl(url: string, base: string): string {
  if (!url.startsWith('./') && !url.startsWith('../')) return url;
  const start = new URL(`${base.replace(/\/+$/, '')}/`);
  return new URL(url, start).href.replace(/\/+$/, '');
}
