import type { FastifyInstance, FastifyRequest } from 'fastify';
import { noticeRefs } from '../actions/notice-refs.ts';
import { GithubError, notFound } from '../github-error.ts';
import { presentCommit } from '../present/commit.ts';
import { repositoryUrl } from '../present/repository.ts';
import { nodeId } from '../present/user.ts';
import type { Repository } from '../state.ts';
import { bareOf, fullName, type World } from '../world.ts';
import { pageOf } from './page-of.ts';
import { actor, bodyOf, param, queryOf, target } from './target.ts';

const repo = '/repos/:owner/:repo';

export function gitRoutes(server: FastifyInstance, world: World): void {
  branchRoutes(server, world);
  refRoutes(server, world);
  contentRoutes(server, world);
  compareRoute(server, world);
  server.get(`${repo}/commits`, async (request, reply) => {
    const repository = target(world, request);
    const bare = bareOf(world, repository);
    const head = await bare.resolve(queryOf(request).sha ?? repository.defaultBranch);
    if (!head) throw new GithubError(409, 'Git Repository is empty.');
    const shas = pageOf(world, request, reply, await bare.history(head, 1000));
    const infos = await Promise.all(shas.map((sha) => bare.commitInfo(sha)));
    return infos.map((info) => presentCommit(world, repository, info));
  });
  server.get(`${repo}/commits/*`, async (request) => {
    const repository = target(world, request);
    const info = await bareOf(world, repository).commitInfo(
      await commitAt(world, repository, param(request, '*')),
    );
    return presentCommit(world, repository, info);
  });
}

function compareRoute(server: FastifyInstance, world: World): void {
  server.get(`${repo}/compare/*`, async (request) => {
    const repository = target(world, request);
    const bare = bareOf(world, repository);
    const [base, head] = await Promise.all(
      param(request, '*')
        .split('...')
        .map((ref) => bare.resolve(ref)),
    );
    if (!base || !head) throw notFound();
    const merged = await bare.mergeBase(base, head);
    if (!merged) throw new GithubError(404, 'No common ancestor.');
    const [ahead, behind] = await Promise.all([
      bare.commitsBetween(base, head),
      bare.commitsBetween(head, base),
    ]);
    const commitOf = async (sha: string) => presentCommit(world, repository, await bare.commitInfo(sha));
    const url = `${world.url}/${fullName(repository)}/compare/${base}...${head}`;
    return {
      url: `${repositoryUrl(world, repository)}/compare/${base}...${head}`,
      ...{ html_url: url, permalink_url: url, diff_url: `${url}.diff`, patch_url: `${url}.patch` },
      base_commit: await commitOf(base),
      merge_base_commit: await commitOf(merged),
      status: statusOf(ahead.length, behind.length),
      ...{ ahead_by: ahead.length, behind_by: behind.length, total_commits: ahead.length },
      commits: await Promise.all(ahead.slice(0, Number(queryOf(request).per_page ?? 30)).map(commitOf)),
      files: [],
    };
  });
}

function statusOf(ahead: number, behind: number): string {
  if (ahead > 0) return behind > 0 ? 'diverged' : 'ahead';
  return behind > 0 ? 'behind' : 'identical';
}

/** GitHub's answer for a commit that is not there is 422, unlike for everything else. */
export async function commitAt(world: World, repository: Repository, ref: string): Promise<string> {
  const sha = await bareOf(world, repository).resolve(ref);
  if (!sha) throw new GithubError(422, `No commit found for SHA: ${ref}`);
  return sha;
}

function branchRoutes(server: FastifyInstance, world: World): void {
  server.get(`${repo}/branches`, async (request, reply) => {
    const repository = target(world, request);
    const refs = Object.entries(repository.refs).filter(([ref]) => ref.startsWith('refs/heads/'));
    return pageOf(world, request, reply, refs).map(([ref, sha]) => ({
      name: ref.slice('refs/heads/'.length),
      commit: { sha, url: `${repositoryUrl(world, repository)}/commits/${sha}` },
      protected: false,
    }));
  });
  server.get(`${repo}/branches/*`, async (request) => {
    const repository = target(world, request);
    const name = param(request, '*');
    const sha = repository.refs[`refs/heads/${name}`];
    if (!sha) throw new GithubError(404, 'Branch not found');
    const url = `${repositoryUrl(world, repository)}/branches/${name}`;
    const off = { enforcement_level: 'off', contexts: [], checks: [] };
    return {
      name,
      commit: presentCommit(world, repository, await bareOf(world, repository).commitInfo(sha)),
      _links: { self: url, html: `${world.url}/${fullName(repository)}/tree/${name}` },
      protected: false,
      protection: { enabled: false, required_status_checks: off },
      protection_url: `${url}/protection`,
    };
  });
}

function presentRef(world: World, repository: Repository, ref: string, sha: string) {
  const url = `${repositoryUrl(world, repository)}/git`;
  return {
    ref,
    node_id: nodeId('Ref', Number.parseInt(sha.slice(0, 8), 16)),
    url: `${url}/${ref}`,
    object: { sha, type: 'commit', url: `${url}/commits/${sha}` },
  };
}

function refRoutes(server: FastifyInstance, world: World): void {
  const refOf = (request: FastifyRequest) => `refs/${param(request, '*')}`;
  server.get(`${repo}/git/ref/*`, async (request) => {
    const repository = target(world, request);
    const ref = refOf(request);
    const sha = repository.refs[ref] ?? (await bareOf(world, repository).resolve(ref.slice('refs/'.length)));
    if (!sha || !/^refs\/(heads|tags|pull)\//.test(ref)) throw notFound();
    return presentRef(world, repository, ref, sha);
  });
  server.get(`${repo}/git/matching-refs/*`, async (request) => {
    const repository = target(world, request);
    const matching = Object.entries(repository.refs).filter(([ref]) => ref.startsWith(refOf(request)));
    return matching.map(([ref, sha]) => presentRef(world, repository, ref, sha));
  });
  server.post(`${repo}/git/refs`, async (request, reply) => {
    const repository = target(world, request);
    const { ref, sha } = bodyOf<{ ref: string; sha: string }>(request);
    if (!/^refs\/(heads|tags)\/[^/].*$/.test(ref))
      throw new GithubError(422, 'Reference name must start with refs/');
    await moveRef(world, repository, { ref, sha, force: false, create: true, by: actor(request).login });
    return reply.code(201).send(presentRef(world, repository, ref, sha));
  });
  server.patch(`${repo}/git/refs/*`, async (request) => {
    const repository = target(world, request);
    const { sha, force } = bodyOf<{ sha: string; force?: boolean }>(request);
    const ref = refOf(request);
    await moveRef(world, repository, {
      ref,
      sha,
      force: force ?? false,
      create: false,
      by: actor(request).login,
    });
    return presentRef(world, repository, ref, sha);
  });
  server.delete(`${repo}/git/refs/*`, async (request, reply) => {
    const repository = target(world, request);
    const ref = refOf(request);
    const { login } = actor(request);
    await world.exclusively(repository, async () => {
      if (!repository.refs[ref]) throw new GithubError(422, 'Reference does not exist');
      await bareOf(world, repository).deleteRef(ref);
      await noticeRefs(world, repository, login);
    });
    return reply.code(204).send();
  });
}

async function moveRef(
  world: World,
  repository: Repository,
  move: { ref: string; sha: string; force: boolean; create: boolean; by: string },
): Promise<void> {
  await world.exclusively(repository, async () => {
    const bare = bareOf(world, repository);
    const current = repository.refs[move.ref];
    if (move.create && current) throw new GithubError(422, 'Reference already exists');
    if (!move.create && !current) throw new GithubError(422, 'Reference does not exist');
    if (!(await bare.resolve(move.sha))) throw new GithubError(422, 'Object does not exist');
    if (current && !move.force && !(await bare.isAncestor(current, move.sha))) {
      throw new GithubError(422, 'Update is not a fast forward');
    }
    await bare.updateRef(move.ref, move.sha, current);
    await noticeRefs(world, repository, move.by);
  });
}

function presentContent(
  world: World,
  repository: Repository,
  file: { path: string; sha: string; ref: string; size: number; type: 'file' | 'dir' },
) {
  const url = `${repositoryUrl(world, repository)}/contents/${file.path}?ref=${file.ref}`;
  const page = `${world.url}/${fullName(repository)}/${file.type === 'dir' ? 'tree' : 'blob'}/${file.ref}/${file.path}`;
  const gitUrl = `${repositoryUrl(world, repository)}/git/${file.type === 'dir' ? 'trees' : 'blobs'}/${file.sha}`;
  const download = `${world.url}/${fullName(repository)}/raw/${file.ref}/${file.path}`;
  return {
    type: file.type,
    name: file.path.split('/').at(-1) ?? file.path,
    path: file.path,
    sha: file.sha,
    size: file.size,
    url,
    git_url: gitUrl,
    html_url: page,
    download_url: file.type === 'dir' ? null : download,
    _links: { self: url, git: gitUrl, html: page },
  };
}

/** GitHub wraps base64 at 60 characters. */
function base64Of(bytes: Buffer): string {
  return bytes.toString('base64').replace(/.{60}/g, '$&\n');
}

function contentRoutes(server: FastifyInstance, world: World): void {
  server.get(`${repo}/contents/*`, async (request) => {
    const repository = target(world, request);
    const ref = queryOf(request).ref ?? repository.defaultBranch;
    const bare = bareOf(world, repository);
    const sha = await bare.resolve(ref);
    if (!sha) throw new GithubError(404, `No commit found for the ref ${ref}`);
    const path = param(request, '*');
    const found = await bare.read(sha, path);
    if (!found) throw notFound();
    if (found.type === 'dir')
      return found.entries.map((entry) => presentContent(world, repository, { ...entry, ref }));
    const { bytes } = found;
    const file = { path, sha: found.sha, ref, size: bytes.length, type: 'file' as const };
    return { ...presentContent(world, repository, file), content: base64Of(bytes), encoding: 'base64' };
  });
  server.put(`${repo}/contents/*`, async (request, reply) => {
    const repository = target(world, request);
    const body = bodyOf<{ message: string; content: string; sha?: string; branch?: string }>(request);
    const path = param(request, '*');
    const branch = body.branch ?? repository.defaultBranch;
    const { login } = actor(request);
    const bytes = Buffer.from(body.content, 'base64');
    const { created, commit } = await world.exclusively(repository, async () => {
      const bare = bareOf(world, repository);
      const from = repository.refs[`refs/heads/${branch}`];
      if (!from && body.branch && Object.keys(repository.refs).length > 0) {
        throw new GithubError(404, `Branch ${branch} not found`);
      }
      const old = from ? await bare.read(from, path) : undefined;
      refuseStale(path, old, body.sha);
      const { message } = body;
      const commit = await bare.commit({
        branch,
        from,
        files: { [path]: bytes },
        message,
        author: { name: login, email: `${login}@users.noreply.localhost` },
      });
      await noticeRefs(world, repository, login);
      return { created: old === undefined, commit };
    });
    const bare = bareOf(world, repository);
    const written = await bare.read(commit, path);
    const sha = written?.type === 'file' ? written.sha : '';
    const content = presentContent(world, repository, {
      path,
      sha,
      ref: branch,
      size: bytes.length,
      type: 'file',
    });
    const { commit: inner, ...outer } = presentCommit(world, repository, await bare.commitInfo(commit));
    return reply.code(created ? 201 : 200).send({ content, commit: { ...outer, ...inner } });
  });
}

function refuseStale(
  path: string,
  old: { type: string; sha?: string } | undefined,
  sha: string | undefined,
): void {
  if (!old) return;
  if (sha === undefined) throw new GithubError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.');
  if (old.sha !== sha) throw new GithubError(409, `${path} does not match ${sha}`);
}
