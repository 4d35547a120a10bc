import type { FastifyInstance, FastifyRequest } from 'fastify';
import { addComment, editComment, removeComment } from '../actions/comments.ts';
import { GithubError, notFound } from '../github-error.ts';
import { presentComment } from '../present/comment.ts';
import { nodeId, presentUser } from '../present/user.ts';
import type { Comment, Repository } from '../state.ts';
import { now, type World } from '../world.ts';
import { pageOf } from './page-of.ts';
import { pullTarget } from './pull-routes.ts';
import { actingAppId, actor, bodyOf, numberParam, queryOf, target } from './target.ts';

const MAX_BODY_CHARACTERS = 65_536;

export function commentRoutes(server: FastifyInstance, world: World): void {
  const onIssue = '/repos/:owner/:repo/issues/:number/comments';
  const one = '/repos/:owner/:repo/issues/comments/:comment';
  server.get(onIssue, async (request, reply) => {
    const { repository, pull } = pullTarget(world, request);
    const { since } = queryOf(request);
    const comments = repository.comments.filter(
      (comment) => comment.issue === pull.number && (!since || comment.updatedAt >= since),
    );
    return pageOf(world, request, reply, comments).map((comment) =>
      presentComment(world, repository, comment),
    );
  });
  server.post(onIssue, async (request, reply) => {
    const { repository, pull } = pullTarget(world, request);
    const { login } = actor(request);
    const comment = addComment(world, repository, pull, {
      user: login,
      body: checkedBody(request),
      appId: actingAppId(request),
    });
    return reply.code(201).send(presentComment(world, repository, comment));
  });
  server.get('/repos/:owner/:repo/issues/comments', async (request, reply) => {
    const repository = target(world, request);
    const { since, sort, direction } = queryOf(request);
    const key = sort === 'updated' ? 'updatedAt' : 'createdAt';
    const comments = repository.comments
      .filter((comment) => !since || comment.updatedAt >= since)
      .sort((a, b) => a[key].localeCompare(b[key]) || a.id - b.id);
    // GitHub heeds the direction only with a sort.
    if (sort && direction === 'desc') comments.reverse();
    return pageOf(world, request, reply, comments).map((comment) =>
      presentComment(world, repository, comment),
    );
  });
  server.get(one, async (request) => {
    const { repository, comment } = commentTarget(world, request);
    return presentComment(world, repository, comment);
  });
  server.patch(one, async (request) => {
    const { repository, comment } = commentTarget(world, request);
    editComment(world, repository, comment, checkedBody(request), actor(request).login);
    return presentComment(world, repository, comment);
  });
  server.delete(one, async (request, reply) => {
    const { repository, comment } = commentTarget(world, request);
    removeComment(world, repository, comment, actor(request).login);
    return reply.code(204).send();
  });
  server.post(`${one}/reactions`, async (request, reply) => {
    const { comment } = commentTarget(world, request);
    const { login } = actor(request);
    const { content } = bodyOf<{ content: string }>(request);
    const known = comment.reactions.find(
      (reaction) => reaction.user === login && reaction.content === content,
    );
    const reaction = known ?? { id: world.file.nextId(), user: login, content, createdAt: now() };
    if (!known) comment.reactions.push(reaction);
    return reply.code(known ? 200 : 201).send({
      id: reaction.id,
      node_id: nodeId('Reaction', reaction.id),
      user: presentUser(world, login),
      content,
      created_at: reaction.createdAt,
    });
  });
}

function commentTarget(world: World, request: FastifyRequest): { repository: Repository; comment: Comment } {
  const repository = target(world, request);
  const comment = repository.comments.find((candidate) => candidate.id === numberParam(request, 'comment'));
  if (!comment) throw notFound();
  return { repository, comment };
}

function checkedBody(request: FastifyRequest): string {
  const { body } = bodyOf<{ body: string }>(request);
  const message =
    body.trim() === ''
      ? "Body can't be blank"
      : body.length > MAX_BODY_CHARACTERS
        ? `body is too long (maximum is ${MAX_BODY_CHARACTERS} characters)`
        : undefined;
  if (message === undefined) return body;
  throw new GithubError(422, 'Validation Failed', {
    errors: [{ resource: 'IssueComment', field: 'body', code: 'unprocessable', message }],
  });
}
