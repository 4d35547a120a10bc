import type { FastifyInstance, FastifyRequest } from 'fastify';
import {
  addLabels,
  closePull,
  editPull,
  mergePull,
  openPull,
  removeLabel,
  reopenPull,
} from '../actions/pulls.ts';
import { presentCommit } from '../present/commit.ts';
import { presentFullPull, presentIssue, presentLabel, presentPull } from '../present/pull.ts';
import { repositoryUrl } from '../present/repository.ts';
import type { Pull, Repository } from '../state.ts';
import { bareOf, fullName, pullOf, type World } from '../world.ts';
import { pageOf } from './page-of.ts';
import { actor, bodyOf, numberParam, param, queryOf, target } from './target.ts';

const base = '/repos/:owner/:repo/pulls';
const issue = '/repos/:owner/:repo/issues/:number';

export function pullTarget(world: World, request: FastifyRequest): { repository: Repository; pull: Pull } {
  const repository = target(world, request);
  return { repository, pull: pullOf(repository, numberParam(request, 'number')) };
}

export function pullRoutes(server: FastifyInstance, world: World): void {
  server.get(base, async (request, reply) => {
    const repository = target(world, request);
    const pulls = listPulls(repository, queryOf(request));
    return pageOf(world, request, reply, pulls).map((pull) => presentPull(world, repository, pull));
  });
  server.post(base, async (request, reply) => {
    const repository = target(world, request);
    const body = bodyOf<{ title?: string; head: string; base: string; body?: string; draft?: boolean }>(
      request,
    );
    const { login } = actor(request);
    const pull = await openPull(world, repository, {
      head: body.head,
      base: body.base,
      title: body.title ?? body.head,
      body: body.body ?? null,
      user: login,
      draft: body.draft ?? false,
    });
    return reply.code(201).send(await presentFullPull(world, repository, pull));
  });
  server.get(`${base}/:number`, async (request) => {
    const { repository, pull } = pullTarget(world, request);
    return presentFullPull(world, repository, pull);
  });
  server.patch(`${base}/:number`, async (request) => {
    const { repository, pull } = pullTarget(world, request);
    const body = bodyOf<{ title?: string; body?: string | null; base?: string; state?: 'open' | 'closed' }>(
      request,
    );
    const { login } = actor(request);
    await editPull(world, repository, pull, body, login);
    if (body.state === 'closed') await closePull(world, repository, pull, login);
    if (body.state === 'open') await reopenPull(world, repository, pull, login);
    return presentFullPull(world, repository, pull);
  });
  server.put(`${base}/:number/merge`, async (request) => {
    const { repository, pull } = pullTarget(world, request);
    const body = bodyOf<{ merge_method?: string; sha?: string; commit_title?: string }>(request);
    const sha = await mergePull(world, repository, pull, {
      by: actor(request).login,
      method: body.merge_method === 'squash' ? 'squash' : 'merge',
      deleteBranch: false,
      title: body.commit_title,
      expectedHead: body.sha,
    });
    return { sha, merged: true, message: 'Pull Request successfully merged' };
  });
  diffRoutes(server, world);
  issueRoutes(server, world);
}

function listPulls(repository: Repository, query: Record<string, string | undefined>): Pull[] {
  const state = query.state ?? 'open';
  const pulls = repository.pulls.filter(
    (pull) =>
      (state === 'all' || pull.state === state) &&
      (!query.base || pull.baseRef === query.base) &&
      (!query.head || `${pull.headOwner}:${pull.headRef}`.toLowerCase() === query.head.toLowerCase()),
  );
  const key = query.sort === 'updated' ? 'updatedAt' : 'createdAt';
  const sorted = pulls.sort((a, b) => a[key].localeCompare(b[key]) || a.number - b.number);
  // GitHub lists the newest first when neither order is asked for.
  const direction = query.direction ?? (query.sort && query.sort !== 'created' ? 'asc' : 'desc');
  return direction === 'asc' ? sorted : sorted.reverse();
}

function diffRoutes(server: FastifyInstance, world: World): void {
  server.get(`${base}/:number/files`, async (request, reply) => {
    const { repository, pull } = pullTarget(world, request);
    const bare = bareOf(world, repository);
    const from = (await bare.mergeBase(pull.baseSha, pull.headSha)) ?? pull.baseSha;
    const files = pageOf(world, request, reply, await bare.changedFiles(from, pull.headSha));
    const page = `${world.url}/${fullName(repository)}`;
    return Promise.all(
      files.map(async (file) => ({
        sha: file.sha,
        filename: file.path,
        status: file.status,
        additions: file.additions,
        deletions: file.deletions,
        changes: file.additions + file.deletions,
        blob_url: `${page}/blob/${pull.headSha}/${file.path}`,
        raw_url: `${page}/raw/${pull.headSha}/${file.path}`,
        contents_url: `${repositoryUrl(world, repository)}/contents/${file.path}?ref=${pull.headSha}`,
        patch: await bare.patch(from, pull.headSha, file.path),
        ...(file.previousPath ? { previous_filename: file.previousPath } : {}),
      })),
    );
  });
  server.get(`${base}/:number/commits`, async (request, reply) => {
    const { repository, pull } = pullTarget(world, request);
    const bare = bareOf(world, repository);
    const shas = pageOf(world, request, reply, await bare.commitsBetween(pull.baseSha, pull.headSha));
    const infos = await Promise.all(shas.map((sha) => bare.commitInfo(sha)));
    return infos.map((info) => presentCommit(world, repository, info));
  });
}

function issueRoutes(server: FastifyInstance, world: World): void {
  server.get(issue, async (request) => {
    const { repository, pull } = pullTarget(world, request);
    return presentIssue(world, repository, pull);
  });
  server.post(`${issue}/labels`, async (request) => {
    const { repository, pull } = pullTarget(world, request);
    await addLabels(world, repository, pull, labelNames(request.body), actor(request).login);
    return pull.labels.map((name) => presentLabel(world, repository, name));
  });
  server.delete(`${issue}/labels/:name`, async (request) => {
    const { repository, pull } = pullTarget(world, request);
    await removeLabel(world, repository, pull, param(request, 'name'), actor(request).login);
    return pull.labels.map((name) => presentLabel(world, repository, name));
  });
}

/** GitHub takes `{labels: [...]}`, a bare list or one name; each label a string or `{name}`. */
function labelNames(body: unknown): string[] {
  const list: unknown =
    Array.isArray(body) || typeof body === 'string' ? body : (body as { labels?: unknown }).labels;
  const labels: unknown[] = Array.isArray(list) ? list : [list];
  return labels.flatMap((label) => {
    if (typeof label === 'string') return [label];
    const { name } = (label ?? {}) as { name?: unknown };
    return typeof name === 'string' ? [name] : [];
  });
}
