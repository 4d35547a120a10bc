import { setTimeout as delay } from 'node:timers/promises';
import { BoughError } from '@bough/domain/bough-error';
import { get } from '@bough/reconcile/probe';
import { EnvironmentDetail } from '../verbs/views.ts';
import type { Stage } from './stage.ts';

const LOOK_MS = 150;

/** Reads an environment until it is as wanted. Ends early, in words, when it failed for good. */
export async function untilEnvironment(
  stage: Stage,
  slug: string,
  wanted: (environment: EnvironmentDetail) => boolean,
  options: {
    timeoutMs: number;
    onProgress?: (text: string) => void;
    mayFail?: boolean;
    signal?: AbortSignal;
  },
): Promise<EnvironmentDetail> {
  const deadline = Date.now() + options.timeoutMs;
  let last: EnvironmentDetail | undefined;
  while (Date.now() < deadline) {
    options.signal?.throwIfAborted();
    last = await readEnvironment(stage, slug);
    if (last !== undefined) {
      options.onProgress?.(`${last.phase}${last.runningStep === null ? '' : ` · ${last.runningStep}`}`);
      if (wanted(last)) return last;
      if (last.failure !== null && last.phase === 'failed' && options.mayFail !== true) {
        throw new BoughError({
          code: last.failure.code,
          message: last.failure.message,
          hint: last.failure.hint ?? undefined,
          tail: last.failure.tail,
        });
      }
    }
    await delay(LOOK_MS);
  }
  throw new BoughError({
    code: 'demo-timeout',
    message: `${slug} did not come as far as expected in ${options.timeoutMs / 1000} s; it is ${last?.phase ?? 'not there'}.`,
    tail: last?.deployment?.steps.map((step) => `${step.name}: ${step.state} ${step.note ?? ''}`) ?? [],
  });
}

export async function readEnvironment(stage: Stage, slug: string): Promise<EnvironmentDetail | undefined> {
  try {
    return EnvironmentDetail.parse(await stage.api.get(`/environments/${encodeURIComponent(slug)}`));
  } catch (error) {
    if (error instanceof BoughError && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** One GET as a visitor's browser makes it, through the gateway; `*.localhost` need not resolve here. */
export async function visit(stage: Stage, url: string): Promise<{ status: number; body: string }> {
  const { host, pathname, search } = new URL(url);
  return await get({
    host: '127.0.0.1',
    port: stage.bough.gatewayPort,
    path: `${pathname}${search}`,
    headers: { host },
    timeoutMs: 10_000,
    signal: AbortSignal.timeout(15_000),
  });
}
