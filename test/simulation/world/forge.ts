import type { Forge, ForgeErrorCode, Published, RepositoryRef, WrittenComment } from '@bough/forge/forge';
import { ForgeError } from '@bough/forge/forge-error';
import type { Calls } from '../calls.ts';
import type { SimProcess } from '../process.ts';
import type { Random } from '../random.ts';
import {
  BOUGH,
  type ForgeWorld,
  namesOf,
  ourComments,
  REPOSITORY_ID,
  type SentDelivery,
  toPullRequest,
} from './forge-world.ts';

/** What is wrong with the forge just now: how many calls fail, and how. */
export interface ForgeTrouble {
  share: number;
  codes: readonly ForgeErrorCode[];
}

/**
 * The contract of a forge on a world in memory: listings are complete or throw, `gone` is said only of what is gone, one
 * comment per marker, one check per commit and name, one deployment per marker.
 */
export function createForge(of: {
  world: ForgeWorld;
  calls: Calls;
  process: SimProcess;
  trouble: ForgeTrouble;
  random: Random;
  redeliver: (delivery: SentDelivery) => void;
  now: () => number;
}): Forge {
  const { world, calls, process, trouble, random } = of;

  function ask<Result>(name: string, work: () => Result, signal?: AbortSignal): Promise<Result> {
    // Some answers are lost after what was asked for was done.
    const fate = random.next() < trouble.share ? (random.chance(0.4) ? 'deaf' : 'refused') : 'fine';
    const act = () => {
      if (fate === 'refused') throw failure(random.pick(trouble.codes));
      const result = work();
      if (fate === 'deaf') throw failure('forge-unreachable');
      return result;
    };
    return calls.call(process, `forge ${name}`, act, { takes: [5, 120], signal });
  }

  const published = (externalId: string, outcome: Published['outcome']): Published => ({
    externalId,
    outcome,
  });
  /** The forge's clock counts whole seconds. */
  const timeOf = (ms: number) => new Date(Math.floor(ms / 1_000) * 1_000);
  const commentsOf = (repository: number): WrittenComment[] =>
    [...world.comments.values()]
      .filter(({ number }) => world.pulls.get(number)?.repository === repository)
      .map(({ id, number, body, user, at, changedAt }) => ({
        ...{ id, pullNumber: number, body, author: user, authorIsBot: user === BOUGH },
        ...{ writtenAt: timeOf(at), changedAt: timeOf(changedAt) },
      }));
  const refuse = async () => {
    throw new Error('this part of the forge is not simulated');
  };

  return {
    kind: 'github',
    host: 'github.com',
    capabilities: { checkRuns: true, appDeliveries: false },
    verify: async () => 'valid',
    parse: () => {
      throw new Error('deliveries are made parsed');
    },
    readRepository: (coordinates, signal) =>
      ask(
        'read repository',
        () => {
          const id = 'id' in coordinates ? coordinates.id : REPOSITORY_ID;
          const { owner, name } = namesOf(world, id);
          return {
            ...{ id, owner, name, defaultBranch: 'main' },
            ...{ archived: false, private: true, url: `https://github.com/${owner}/${name}` },
          };
        },
        signal,
      ),
    readPullRequest: (repository, number, signal) =>
      ask(
        'read pull request',
        () => {
          const pull = world.pulls.get(number);
          return pull?.repository !== repository.id ? 'gone' : toPullRequest(pull, world);
        },
        signal,
      ),
    readBranch: (_repository, branch, signal) =>
      ask(
        'read branch',
        () => {
          const commit = world.branches.get(branch);
          return commit === undefined ? 'gone' : { commit };
        },
        signal,
      ),
    locateCommit: refuse,
    changedFiles: (_repository, _number, signal) => ask('changed files', () => ['app.js'], signal),
    listOpen: (repository, options) =>
      ask(
        'list open',
        () => {
          const pulls = [...world.pulls.values()]
            .filter((pull) => pull.state === 'open' && pull.repository === repository.id)
            .map((pull) => toPullRequest(pull, world));
          const etag = JSON.stringify(pulls);
          return options?.etag === etag ? 'unchanged' : { pulls, etag };
        },
        options?.signal,
      ),
    listComments: (repository, { since, etag, signal } = {}) =>
      ask(
        'list comments',
        () => {
          const all = commentsOf(repository.id)
            .filter(({ changedAt }) => since === undefined || changedAt >= since)
            .sort((a, b) => a.changedAt.getTime() - b.changedAt.getTime() || a.id - b.id);
          const found = { comments: all.slice(0, PAGE), isMore: all.length > PAGE };
          const fresh = JSON.stringify([since, found]);
          return etag === fresh ? 'unchanged' : { ...found, etag: fresh };
        },
        signal,
      ),
    newestComment: (repository, signal) =>
      ask(
        'newest comment',
        () =>
          commentsOf(repository.id).reduce<WrittenComment | 'none'>(
            (newest, comment) => (newest === 'none' || comment.id > newest.id ? comment : newest),
            'none',
          ),
        signal,
      ),
    fetch: (_repository, { signal }) => ask('fetch', () => undefined, signal),
    fetchSubmodule: refuse,
    publishComment: (_repository, { number, body, marker, externalId }) =>
      ask('publish comment', () => {
        const byId = externalId === undefined ? undefined : world.comments.get(Number(externalId));
        const [own = byId, ...doubles] = ourComments(world, number).filter((comment) =>
          comment.body.includes(marker),
        );
        const found = byId ?? own;
        if (found !== undefined) {
          found.body = body;
          found.changedAt = of.now();
          for (const double of doubles) if (double !== found) world.comments.delete(double.id);
          return published(String(found.id), 'updated');
        }
        const id = world.nextId();
        world.comments.set(id, { id, number, user: BOUGH, body, at: of.now(), changedAt: of.now() });
        return published(String(id), 'created');
      }),
    removeComment: (_repository, externalId) =>
      ask('remove comment', () => void world.comments.delete(Number(externalId))),
    react: (_repository, { commentId, content }, signal) =>
      ask(
        'react',
        () => {
          if (!world.comments.has(commentId)) return 'gone' as const;
          world.reactions.set(`${commentId} ${content}`, 1);
          return 'reacted' as const;
        },
        signal,
      ),
    publishCheck: (_repository, report) =>
      ask('publish check', () => {
        const key = `${report.commit} ${report.name}`;
        const found = world.checks.get(key);
        const id = found?.id ?? String(world.nextId());
        world.checks.set(key, { id, report });
        return published(id, found === undefined ? 'created' : 'updated');
      }),
    publishDeployment: (_repository, report) =>
      ask('publish deployment', () => {
        const marked = [...world.deployments].find(([, { marker }]) => marker === report.marker)?.[0];
        const id = report.externalId ?? marked ?? String(world.nextId());
        const outcome = world.deployments.has(id) ? 'updated' : 'created';
        world.deployments.set(id, { marker: report.marker, report });
        return published(id, outcome);
      }),
    permission: (_repository: RepositoryRef, user) =>
      ask('permission', () => world.permissions.get(user) ?? 'none'),
    ensureWebhook: refuse,
    removeWebhook: refuse,
    pingWebhook: refuse,
    failedDeliveries: (repository, { since: _since }) =>
      ask('failed deliveries', () =>
        world.deliveries
          .filter(({ parsed }) => parsed.repositoryId === repository.id)
          .filter(({ failed, sentAt }) => failed && of.now() - sentAt < THREE_DAYS_MS)
          .slice(0, 500)
          .map(({ id, parsed }) => ({
            ...{ id, deliveryId: parsed.deliveryId, event: parsed.event, deliveredAt: new Date(0) },
          })),
      ),
    redeliver: (_repository, delivery) =>
      ask('redeliver', () => {
        const found = world.deliveries.find(({ id }) => id === delivery.id);
        if (found === undefined) return;
        found.failed = false;
        of.redeliver(found);
      }),
    proposeFiles: refuse,
  };
}

/** Comments in one answer. */
const PAGE = 100;
const THREE_DAYS_MS = 3 * 86_400_000;

function failure(code: ForgeErrorCode): ForgeError {
  const retryable = code === 'forge-unreachable' || code === 'forge-rate-limited';
  return new ForgeError({
    code,
    message: `The forge says ${code}.`,
    hint: 'It is simulated.',
    retryable,
    ...(code === 'forge-rate-limited' ? { retryAfterMs: 3_000 } : {}),
  });
}
