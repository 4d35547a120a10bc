import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as delay } from 'node:timers/promises';
import { EXAMPLE, readFolder, type Stage } from '@bough/cli/demo/stage';
import { untilEnvironment, visit } from '@bough/cli/demo/watch';
import { BoughError } from '@bough/domain/bough-error';
import { type Environment, phase } from '@bough/domain/environment';
import { type DeploymentDetail, EnvironmentDetail } from '@bough/server/api/schemas';
import { findEnvironmentBySlug } from '@bough/store/environments';
import { newestFrozenSnapshot } from '@bough/store/snapshots';
import type pg from 'pg';
import { workedMs } from './machine.ts';

export const REPOSITORY = 'acme/shop';
const PRODUCTION = 'shop';
const FIRST_MS = 300_000;
const READY_MS = 120_000;
/** Reading one row: finer than what is measured, and cheap enough not to be in its way. */
const LOOK_MS = 10;
/** Nobody has asked the forge for this long: comment, check and deployment are written. */
const QUIET_MS = 500;

/** What one deployment took, in the order in which it happened. The parts add up to `readyMs`. */
export interface BoughRun {
  /** From sending the webhook, or the action, to phase `ready` as the row says. */
  readonly readyMs: number;
  /** Until a visitor of our own had an answer from the new deployment through the gateway; asked once, when ready. */
  readonly visitedMs: number;
  readonly parts: readonly { readonly name: string; readonly ms: number }[];
  /** Of the forge's API, until ready: reads, comment, check, deployment. */
  readonly forgeCalls: number;
  /** Processor time of the worker process itself, without what it started, until ready. */
  readonly workerMs: number;
  /** Whether anything was built. */
  readonly isBuilt: boolean;
}

export interface BoughSide {
  readonly stage: Stage;
  readonly pool: pg.Pool;
  readonly signal: AbortSignal;
}

/** The example in production, its data captured: what is measured afterwards are further pull requests. */
export async function openShop({ stage, pool, signal }: BoughSide): Promise<{ commit: string }> {
  const { forge, api } = stage;
  await forge.createRepository({ owner: 'acme', name: 'shop' });
  const commit = await forge.commit({
    repo: REPOSITORY,
    branch: 'main',
    files: await readFolder(EXAMPLE),
    message: 'Open the shop',
    user: 'fern',
  });
  await api.send('POST', '/projects', { repository: REPOSITORY, production: 'managed' });
  const production = await untilEnvironment(stage, PRODUCTION, (row) => row.phase === 'ready', {
    timeoutMs: FIRST_MS,
    signal,
  });
  await until(signal, FIRST_MS, 'a golden snapshot of production', async () =>
    newestFrozenSnapshot(pool, production.id),
  );
  return { commit };
}

/** A branch that changes a source file, so that its tree, and with it its artifact, is a new one. */
export async function pushChange({ stage }: BoughSide, name: string): Promise<string> {
  return await stage.forge.commit({
    repo: REPOSITORY,
    branch: name,
    from: 'main',
    files: {
      'src/announcement.js': `/** The line at the top of every page. */\nexport const announcement = 'Offer ${name}.';\n`,
    },
    message: `Announce offer ${name}`,
    user: 'robin',
  });
}

/** Opens a pull request and follows it to its verified preview. */
export async function openPreview(
  side: BoughSide,
  branch: string,
): Promise<{ number: number; slug: string; run: BoughRun }> {
  const sending = watchSending('pull_request');
  const before = await readWork(side);
  const number = await side.stage.forge.openPullRequest({
    repo: REPOSITORY,
    head: branch,
    title: `Announce offer ${branch}`,
    user: 'robin',
  });
  const slug = `pr-${number}--${PRODUCTION}`;
  const row = await untilReady(side, slug, null);
  const sentAt = sending.stop();
  if (sentAt === undefined) {
    throw new BoughError({ code: 'bench-no-webhook', message: `${slug} is ready, but no webhook was seen.` });
  }
  const run = await account(side, row, {
    at: sentAt,
    receivedAt: await receivedAt(side, `pull/${number}`),
    work: before,
  });
  return { number, slug, run };
}

/** Asks for the same commit again: its artifact is there. */
export async function redeploy(side: BoughSide, slug: string): Promise<BoughRun> {
  const before = await findEnvironmentBySlug(side.pool, slug);
  const work = await readWork(side);
  const at = Date.now();
  await side.stage.api.send('POST', `/environments/${slug}/actions`, { kind: 'redeploy' });
  const row = await untilReady(side, slug, before?.releaseDeploymentId ?? null);
  return await account(side, row, { at, receivedAt: undefined, work });
}

export async function closePreview(side: BoughSide, number: number): Promise<void> {
  await side.stage.forge.closePullRequest({ repo: REPOSITORY, number });
  const slug = `pr-${number}--${PRODUCTION}`;
  await until(side.signal, READY_MS, `${slug} to be removed`, async () => {
    const row = await findEnvironmentBySlug(side.pool, slug);
    return row === undefined || phase(row) === 'removed' ? true : undefined;
  });
}

/** Waits until nothing is being done for anybody, so that no run is disturbed by the one before. */
export async function untilQuiet({ stage, signal }: BoughSide): Promise<void> {
  await stage.forge.settled();
  let calls = stage.forge.apiCalls.length;
  let since = Date.now();
  await until(signal, READY_MS, 'Bough to be done with what came before', async () => {
    if (stage.forge.apiCalls.length !== calls) {
      calls = stage.forge.apiCalls.length;
      since = Date.now();
    }
    return Date.now() - since >= QUIET_MS ? true : undefined;
  });
}

/**
 * The moment at which the forge, which runs in this process, sends an event: what comes before (git, its database) is
 * its own affair. The channel is undici's, which Node's `fetch` is made of.
 */
function watchSending(event: string): { stop(): number | undefined } {
  const channel = 'undici:request:create';
  let at: number | undefined;
  const listener = (message: unknown) => {
    const { request } = message as { request?: { path?: unknown; headers?: unknown } };
    if (request?.path !== '/webhooks/github') return;
    const headers = Array.isArray(request.headers) ? request.headers.join('\n') : String(request.headers);
    if (new RegExp(`x-github-event[:\\s]+${event}\\b`, 'i').test(headers)) at ??= Date.now();
  };
  subscribe(channel, listener);
  return {
    stop() {
      unsubscribe(channel, listener);
      return at;
    },
  };
}

async function receivedAt({ pool }: BoughSide, subject: string): Promise<number | undefined> {
  const { rows } = await pool.query<{ at: Date }>(
    `select received_at as at from deliveries where event = 'pull_request' and action = 'opened' and subjects @> array[$1]`,
    [subject],
  );
  return rows[0]?.at.getTime();
}

async function untilReady(
  { pool, signal }: BoughSide,
  slug: string,
  previous: string | null,
): Promise<Environment> {
  return await until(signal, READY_MS, `${slug} to be ready`, async () => {
    const row = await findEnvironmentBySlug(pool, slug);
    if (row === undefined) return undefined;
    if (phase(row) === 'failed' && row.failure !== null) {
      throw new BoughError({ ...row.failure, hint: row.failure.hint ?? undefined });
    }
    const isNew = row.releaseDeploymentId !== null && row.releaseDeploymentId !== previous;
    return isNew && phase(row) === 'ready' ? row : undefined;
  });
}

interface Work {
  readonly forgeCalls: number;
  readonly workerMs: number;
}

async function readWork({ stage }: BoughSide): Promise<Work> {
  const pid = stage.bough.children.worker.pid();
  return {
    forgeCalls: stage.forge.apiCalls.length,
    workerMs: await workedMs(pid === undefined ? [] : [pid]),
  };
}

interface Sent {
  readonly at: number;
  readonly receivedAt: number | undefined;
}

/** Visits the preview, then reads from the API where the time went. */
async function account(side: BoughSide, row: Environment, sent: Sent & { work: Work }): Promise<BoughRun> {
  const work = await readWork(side);
  const { deployment, routes } = EnvironmentDetail.parse(
    await side.stage.api.get(`/environments/${row.slug}`),
  );
  const url = routes.find((route) => route.primary)?.url ?? '';
  const answer = await visit(side.stage, new URL('/api/status', url).href);
  const visitedAt = Date.now();
  const { deployment: served } = JSON.parse(answer.body) as { deployment?: unknown };
  if (deployment === null || served !== deployment.id) {
    throw new BoughError({
      code: 'bench-not-ready',
      message: `${row.slug} says that it is ready, but ${url} is served by deployment ${served}, not ${deployment?.id}.`,
    });
  }
  return {
    readyMs: row.changedAt.getTime() - sent.at,
    visitedMs: visitedAt - sent.at,
    parts: partsOf(sent, deployment, row.changedAt.getTime()),
    forgeCalls: work.forgeCalls - sent.work.forgeCalls,
    workerMs: work.workerMs - sent.work.workerMs,
    isBuilt: deployment.steps.some((step) => step.name === 'build' && step.state === 'done'),
  };
}

function partsOf(sent: Sent, deployment: DeploymentDetail, readyAt: number): BoughRun['parts'] {
  const parts: { name: string; ms: number }[] = [];
  if (sent.receivedAt !== undefined) {
    parts.push({ name: 'webhook → stored', ms: sent.receivedAt - sent.at });
  }
  let end = Date.parse(deployment.startedAt);
  let between = 0;
  parts.push({ name: 'look, write wish, take lock', ms: end - (sent.receivedAt ?? sent.at) });
  for (const { name, startedAt, finishedAt } of deployment.steps) {
    const [from, to] = [Date.parse(startedAt), Date.parse(finishedAt ?? startedAt)];
    between += from - end;
    parts.push({ name, ms: to - from });
    end = to;
  }
  return [...parts, { name: 'between steps', ms: between }, { name: 'settle', ms: readyAt - end }];
}

async function until<Result>(
  signal: AbortSignal,
  timeoutMs: number,
  what: string,
  look: () => Promise<Result | undefined>,
): Promise<Result> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    signal.throwIfAborted();
    const found = await look();
    if (found !== undefined) return found;
    await delay(LOOK_MS);
  }
  throw new BoughError({
    code: 'bench-timeout',
    message: `Waited ${timeoutMs / 1000} s in vain for ${what}.`,
  });
}
