import { parseSubject, type SubjectKey, subjectKey } from '@bough/domain/subject';
import type { z } from 'zod';
import type { ParsedDelivery, RepositoryRef, WebhookHeaders } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import {
  CheckRunEvent,
  DeleteEvent,
  EventEnvelope,
  InstallationEvent,
  InstallationRepositoriesEvent,
  IssueCommentEvent,
  PullRequestEvent,
  PushEvent,
} from './events.ts';
import { headerOf } from './header-of.ts';

/** What an event means for us, without the fields that every delivery has. */
type Meaning =
  | Pick<Extract<ParsedDelivery, { kind: 'ping' }>, 'kind'>
  | Pick<Extract<ParsedDelivery, { kind: 'subjects' }>, 'kind' | 'subjects'>
  | Pick<Extract<ParsedDelivery, { kind: 'comment' }>, 'kind' | 'subject' | 'body' | 'user' | 'commentId'>
  | Pick<Extract<ParsedDelivery, { kind: 'action' }>, 'kind' | 'subject' | 'user' | 'action' | 'commit'>
  | Pick<Extract<ParsedDelivery, { kind: 'repositories' }>, 'kind' | 'added' | 'removed'>
  | Pick<Extract<ParsedDelivery, { kind: 'ignored' }>, 'kind' | 'reason'>;

interface Event {
  readonly name: string;
  readonly action: string;
  readonly envelope: EventEnvelope;
  readonly payload: unknown;
}

/** Which subjects a delivery hints at. Payloads are hints: nothing but names and ids is taken from them. */
export function parse(rawBody: Buffer, headers: WebhookHeaders): ParsedDelivery {
  const name = requiredHeader(headers, 'x-github-event');
  const deliveryId = requiredHeader(headers, 'x-github-delivery');
  const payload = readJson(rawBody, headers);
  const envelope = take(EventEnvelope, payload, name);
  const meaning = (MEANINGS.get(name) ?? unknownEvent)({
    name,
    action: envelope.action ?? '',
    envelope,
    payload,
  });
  return {
    deliveryId,
    event: name,
    action: envelope.action ?? null,
    repositoryId: envelope.repository?.id ?? null,
    owner: ownerOf(envelope),
    name: envelope.repository?.name ?? null,
    ...meaning,
  };
}

const MEANINGS: ReadonlyMap<string, (event: Event) => Meaning> = new Map([
  ['ping', () => ({ kind: 'ping' })],
  ['pull_request', pullRequest],
  ['push', push],
  ['delete', branchDeleted],
  ['create', () => ignored('a push event says the same about a new branch')],
  ['issue_comment', issueComment],
  ['check_run', checkRun],
  ['installation', installation],
  ['installation_repositories', installationRepositories],
  ['repository', repository],
]);

function unknownEvent(event: Event): Meaning {
  return ignored(`Bough has no use for the event "${event.name}"`);
}

/** Changes to these leave an environment as it is. Words that GitHub may add later are looked at: looking is cheap. */
const IDLE_PULL_ACTIONS: ReadonlySet<string> = new Set([
  'assigned',
  'unassigned',
  'review_requested',
  'review_request_removed',
  'auto_merge_enabled',
  'auto_merge_disabled',
  'locked',
  'unlocked',
  'milestoned',
  'demilestoned',
  'enqueued',
  'dequeued',
]);

function pullRequest(event: Event): Meaning {
  if (IDLE_PULL_ACTIONS.has(event.action)) return ignored(`"${event.action}" changes no environment`);
  const { number } = take(PullRequestEvent, event.payload, event.name);
  return subjects([subjectKey({ kind: 'pull', number })]);
}

function push(event: Event): Meaning {
  const { ref } = take(PushEvent, event.payload, event.name);
  const branch = /^refs\/heads\/(.+)$/s.exec(ref)?.[1];
  return branch === undefined
    ? ignored('a push to a tag changes no environment')
    : branchSubject(event, branch);
}

function branchDeleted(event: Event): Meaning {
  const { ref, ref_type: kind } = take(DeleteEvent, event.payload, event.name);
  return kind === 'branch' ? branchSubject(event, ref) : ignored('a deleted tag changes no environment');
}

function branchSubject({ envelope }: Event, branch: string): Meaning {
  if (branch === envelope.repository?.default_branch) return subjects([subjectKey({ kind: 'production' })]);
  const key = subjectKey({ kind: 'branch', branch });
  return parseSubject(key)
    ? subjects([key])
    : ignored('the name of the branch is longer than 255 characters');
}

function issueComment(event: Event): Meaning {
  const { issue, comment } = take(IssueCommentEvent, event.payload, event.name);
  if (issue.pull_request == null) return ignored('the comment is on an issue, not on a pull request');
  const subject = subjectKey({ kind: 'pull', number: issue.number });
  // It may be ours that somebody deleted.
  if (event.action === 'deleted') return subjects([subject]);
  if (event.action !== 'created') return ignored('only a new comment can hold a command');
  if (comment.user == null) return ignored('the account of the comment’s author is gone');
  if (comment.user.type === 'Bot') return ignored('bots give no commands');
  return {
    kind: 'comment',
    subject,
    body: comment.body ?? '',
    user: comment.user.login,
    commentId: comment.id,
  };
}

function checkRun(event: Event): Meaning {
  if (event.action !== 'requested_action' && event.action !== 'rerequested') {
    return ignored(`"${event.action}" of a check run asks for nothing`);
  }
  const { check_run: run, requested_action: action, sender } = take(CheckRunEvent, event.payload, event.name);
  // What we wrote on the check ourselves; only the App that wrote it is told of its buttons.
  const ours = parseSubject(run.external_id ?? '');
  if (event.action === 'requested_action' && action && sender && run.head_sha && ours?.kind === 'pull') {
    if (sender.type === 'Bot') return ignored('bots press no buttons');
    const subject = subjectKey(ours);
    return { kind: 'action', subject, user: sender.login, action: action.identifier, commit: run.head_sha };
  }
  const pulls = run.pull_requests.map(({ number }) => subjectKey({ kind: 'pull', number }));
  if (pulls.length > 0) return subjects([...new Set(pulls)]);
  const branch = run.check_suite?.head_branch;
  // For a fork GitHub names neither; resync finds what has changed.
  return typeof branch === 'string'
    ? branchSubject(event, branch)
    : ignored('the check run names no pull request and no branch');
}

function installation(event: Event): Meaning {
  const { repositories } = take(InstallationEvent, event.payload, event.name);
  const listed = repositories ?? [];
  switch (event.action) {
    case 'deleted':
      return { kind: 'repositories', added: [], removed: listed.map(({ id }) => id) };
    case 'suspend':
      return ignored(
        'a suspended installation is not removed: its repositories can be read again when it resumes',
      );
    default:
      return listed.length === 0
        ? ignored(`"${event.action}" of the installation names no repository`)
        : { kind: 'repositories', added: refs(listed, event.envelope), removed: [] };
  }
}

function installationRepositories(event: Event): Meaning {
  const { repositories_added: added, repositories_removed: removed } = take(
    InstallationRepositoriesEvent,
    event.payload,
    event.name,
  );
  return { kind: 'repositories', added: refs(added, event.envelope), removed: removed.map(({ id }) => id) };
}

function repository(event: Event): Meaning {
  const found = event.envelope.repository;
  const owner = ownerOf(event.envelope);
  if (!found || owner === null) throw malformed('it names no repository', event.name);
  switch (event.action) {
    case 'deleted':
      return { kind: 'repositories', added: [], removed: [found.id] };
    case 'renamed':
    case 'transferred':
    case 'edited':
    case 'archived':
    case 'unarchived':
    case 'publicized':
    case 'privatized':
      return {
        kind: 'repositories',
        added: [{ id: found.id, owner, name: found.name, ...installationOf(event.envelope) }],
        removed: [],
      };
    default:
      return ignored(`"${event.action}" of the repository changes no environment`);
  }
}

function refs(
  listed: readonly { id: number; full_name: string }[],
  envelope: EventEnvelope,
): RepositoryRef[] {
  return listed.flatMap(({ id, full_name: fullName }) => {
    const [owner, name] = fullName.split('/');
    return owner && name ? [{ id, owner, name, ...installationOf(envelope) }] : [];
  });
}

function installationOf(envelope: EventEnvelope): { forgeInstallationId?: number } {
  return envelope.installation ? { forgeInstallationId: envelope.installation.id } : {};
}

function ownerOf({ repository: found }: EventEnvelope): string | null {
  return found?.owner?.login ?? found?.owner?.name ?? null;
}

function subjects(keys: readonly SubjectKey[]): Meaning {
  return { kind: 'subjects', subjects: keys };
}

function ignored(reason: string): Meaning {
  return { kind: 'ignored', reason };
}

function requiredHeader(headers: WebhookHeaders, name: string): string {
  const value = headerOf(headers, name);
  if (value !== undefined && /^[\w.:-]{1,100}$/.test(value)) return value;
  throw new ForgeError({
    code: 'webhook-malformed',
    message: `The delivery has no usable ${name} header.`,
    hint: 'Only a forge should send to this address; a proxy in between must pass all X-GitHub headers on.',
  });
}

function readJson(rawBody: Buffer, headers: WebhookHeaders): unknown {
  try {
    return JSON.parse(rawBody.toString('utf8'));
  } catch (cause) {
    const form = headerOf(headers, 'content-type')?.startsWith('application/x-www-form-urlencoded') ?? false;
    throw new ForgeError({
      code: 'webhook-malformed',
      message: form ? 'The delivery is a form, not JSON.' : 'The body of the delivery is not JSON.',
      hint: form ? 'Set the webhook’s content type to application/json.' : undefined,
      cause,
    });
  }
}

function take<T extends z.ZodType>(schema: T, payload: unknown, event: string): z.output<T> {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw malformed(issue ? `${issue.path.join('.') || 'the body'}: ${issue.message}` : 'unreadable', event);
}

function malformed(problem: string, event: string): ForgeError {
  return new ForgeError({
    code: 'webhook-malformed',
    message: `The body of the delivery is not a "${event}" event (${problem}).`,
  });
}
