import { presentComment } from '../present/comment.ts';
import { presentIssue } from '../present/pull.ts';
import type { Comment, Pull, Repository } from '../state.ts';
import { now, userOf, type World } from '../world.ts';
import { emit } from './emit.ts';

export function addComment(
  world: World,
  repository: Repository,
  pull: Pull,
  wanted: { user: string; body: string; appId: number | null },
): Comment {
  const time = now();
  const comment: Comment = {
    id: world.file.nextId(),
    issue: pull.number,
    user: userOf(world, wanted.user).login,
    appId: wanted.appId,
    body: wanted.body,
    createdAt: time,
    updatedAt: time,
    reactions: [],
  };
  repository.comments.push(comment);
  pull.updatedAt = time;
  emitComment(world, repository, comment, 'created', comment.user);
  return comment;
}

export function editComment(
  world: World,
  repository: Repository,
  comment: Comment,
  body: string,
  by: string,
): void {
  const from = comment.body;
  Object.assign(comment, { body, updatedAt: now() });
  emitComment(world, repository, comment, 'edited', by, { changes: { body: { from } } });
}

export function removeComment(world: World, repository: Repository, comment: Comment, by: string): void {
  repository.comments = repository.comments.filter((other) => other !== comment);
  emitComment(world, repository, comment, 'deleted', by);
}

function emitComment(
  world: World,
  repository: Repository,
  comment: Comment,
  action: string,
  sender: string,
  more: Record<string, unknown> = {},
): void {
  world.file.save();
  const pull = repository.pulls.find((candidate) => candidate.number === comment.issue);
  if (!pull) return;
  const payload = {
    ...more,
    issue: presentIssue(world, repository, pull),
    comment: presentComment(world, repository, comment),
  };
  emit(world, repository, { event: 'issue_comment', action, sender, payload });
}
