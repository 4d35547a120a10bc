import { createHmac, randomUUID } from 'node:crypto';
import { waitFor } from '@bough/testkit/wait-for';
import type { PullRequest, Repository, Stage } from './stage.ts';
import { type Files, tinyProject } from './tiny-project.ts';

export interface BurstResult {
  readonly pulls: readonly PullRequest[];
  /** Webhooks that were answered with 202. */
  readonly accepted: number;
  /** Deployments that were under way when the worker was killed, at each kill. */
  readonly inFlight: readonly number[];
  /** All that were ever begun. */
  readonly deployments: number;
  /** From the first webhook until every environment was ready at its newest commit. */
  readonly settledMs: number;
}

const SENDERS = 16;
const ACTIONS = ['opened', 'synchronize', 'labeled', 'edited', 'reopened', 'ready_for_review'];

/** Resync seldom, so that it is the webhooks that are seen; at the start of a worker it looks all the same. */
export function burstEnvironment(secret: string): Record<string, string> {
  return { GITHUB_WEBHOOK_SECRET: secret, BOUGH_BUILDS: '4', BOUGH_RESYNC_SECONDS: '600' };
}

/** Its hook takes a moment, so that there is something to be killed. */
export async function burstProject(): Promise<Files> {
  return { ...(await tinyProject()), 'hook.sh': 'sleep 1\n' };
}

/**
 * Many webhooks at once about a few pull requests, in any order, most of them about commits that are not the newest any
 * more, while the worker is killed twice. The forge loses its own webhooks meanwhile, so these are all there are.
 */
export async function runBurst(
  stage: Stage,
  repository: Repository,
  options: {
    pulls: number;
    webhooks: number;
    secret: string;
    timeoutMs: number;
    onProgress?: (text: string) => void;
  },
): Promise<BurstResult> {
  stage.forge.faults.set({ dropWebhooks: () => true });
  const repositoryId = (await stage.forgeGet<{ id: number }>(`/repos/${repository.repo}`)).id;
  const { pulls, former } = await openPulls(stage, repository, options.pulls);
  options.onProgress?.(`${pulls.length} pull requests are open`);
  const startedAt = performance.now();
  let accepted = 0;
  const send = async (index: number) => {
    const pull = pulls[(index * 7) % pulls.length];
    const action = ACTIONS[index % ACTIONS.length] ?? '';
    if (pull === undefined) return;
    const sha = index % 3 === 0 ? pull.commit : (former.get(pull.number) ?? '');
    const status = await postWebhook(stage, options.secret, {
      ...{ action, number: pull.number, pull_request: { number: pull.number, head: { sha } } },
      repository: { id: repositoryId, name: repository.name, owner: { login: 'acme' } },
    });
    if (status === 202) accepted += 1;
  };
  const inFlight: number[] = [];
  let next = 0;
  const sendUntil = async (end: number) => {
    const sender = async () => {
      while (next < end) {
        next += 1;
        await send(next - 1);
      }
    };
    await Promise.all(Array.from({ length: SENDERS }, sender));
  };
  for (const share of [1 / 3, 2 / 3]) {
    const half = sendUntil(Math.round(options.webhooks * share));
    // It is waited for below; should what comes in between fail, that is the failure to hear of.
    half.catch(() => undefined);
    // The worker that is killed must have taken something up: what its predecessor left running does not count.
    const leases = await count(stage, LEASES);
    await waitFor(
      'a worker to be at a deployment',
      async () =>
        (await stage.bough.pidOf('worker')) !== undefined &&
        (await count(stage, LEASES)) > leases &&
        (await count(stage, RUNNING)) > 0,
      { timeoutMs: options.timeoutMs, intervalMs: 20 },
    );
    await stage.bough.kill('worker');
    // Nobody is there to change what was under way; the next worker goes on with it.
    inFlight.push(await count(stage, RUNNING));
    options.onProgress?.(`worker killed after ${next} webhooks, ${inFlight.at(-1)} deployments under way`);
    await half;
  }
  await sendUntil(options.webhooks);
  for (const pull of pulls)
    await stage.untilEnvironment(
      pull.slug,
      (row) => row.phase === 'ready' && row.deployment?.commit === pull.commit,
      { timeoutMs: options.timeoutMs, mayFail: true },
    );
  const settledMs = performance.now() - startedAt;
  await waitFor(
    'every webhook to be settled',
    async () =>
      (await count(stage, `select count(*)::int as count from deliveries where settled_at is null`)) === 0,
    { timeoutMs: options.timeoutMs },
  );
  stage.forge.faults.clear();
  return {
    ...{ pulls, accepted, inFlight, settledMs },
    deployments: await count(stage, 'select count(*)::int as count from deployments'),
  };
}

const LEASES = 'select coalesce(sum(lease), 0)::int as count from environments';
const RUNNING = `select count(*)::int as count from deployments where state = 'running'`;

/** Opened when both of their commits are there: what is seen of them first is their newest. */
async function openPulls(
  stage: Stage,
  { repo, name }: Repository,
  wanted: number,
): Promise<{ pulls: PullRequest[]; former: Map<number, string> }> {
  const pulls: PullRequest[] = [];
  const former = new Map<number, string>();
  for (let index = 0; index < wanted; index += 1) {
    const branch = `burst-${index}`;
    const commit = (text: string) =>
      stage.forge.commit({
        ...{ repo, branch, from: 'main', message: `Make it ${text}`, user: 'robin' },
        files: { 'branch.txt': `${branch} ${text}\n` },
      });
    const old = await commit('old');
    const newest = await commit('new');
    const number = await stage.forge.openPullRequest({ repo, head: branch, title: branch, user: 'robin' });
    former.set(number, old);
    pulls.push({ number, branch, commit: newest, slug: `pr-${number}--${name}` });
  }
  return { pulls, former };
}

async function count(stage: Stage, text: string): Promise<number> {
  return (await stage.query<{ count: number }>(text))[0]?.count ?? 0;
}

/** A webhook about a pull request that the forge knows nothing of; answers the status. */
export async function postWebhook(
  stage: Pick<Stage, 'serverUrl'>,
  secret: string,
  payload: unknown,
): Promise<number> {
  const body = JSON.stringify(payload);
  const response = await fetch(`${stage.serverUrl}/webhooks/github`, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'pull_request',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
    signal: AbortSignal.timeout(30_000),
  });
  await response.arrayBuffer();
  return response.status;
}
