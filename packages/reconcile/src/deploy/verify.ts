import { BoughError } from '@bough/domain/bough-error';
import { type Answer, untilReady } from '../probe.ts';
import { releaseWorkloadIds, webWorkloadIds, whatServes } from './release.ts';
import type { PlannedRun, StepVoice } from './run.ts';
import { lastLines } from './services.ts';
import { findStopped } from './stopped-meanwhile.ts';

const ATTEMPT_TIMEOUT_MS = 10_000;

/**
 * Nothing says "ready" before its public address answered, through the gateway, from this very deployment. The gateway
 * is dialled with the Host header: names like `*.localhost` need not resolve here.
 */
export async function verify(run: PlannedRun, voice: StepVoice): Promise<void> {
  const upstreams = run.plan.common.routes.filter((route) => route.kind === 'upstream');
  for (const route of upstreams) {
    const host = run.plan.overlay.hosts.find((candidate) => candidate.pattern === route.pattern);
    if (host === undefined) continue;
    const answer = await untilReady((signal) => ask(run, host, signal), {
      clock: run.context.clock,
      timeoutMs: run.context.deadlines.verifyMs,
      signal: run.lock.signal,
      onTimeout: async (cause) =>
        (await findStopped(run.context, webWorkloadIds(run))) ??
        new BoughError({
          code: 'verify-failed',
          message: `${host.url} did not answer from this deployment: ${cause instanceof Error ? cause.message : String(cause)}.`,
          hint: `The app started but does not answer well. Its last lines are below. ${whatServes(run)}`,
          tail: await lastLines(run, releaseWorkloadIds(run)[0] ?? ''),
          cause,
        }),
    });
    voice.line(`${host.url} answers ${answer.status}`);
  }
  await voice.note(upstreams.length === 0 ? 'no public address' : 'the public address answers');
}

async function ask(
  run: PlannedRun,
  host: { host: string; path: string },
  signal: AbortSignal,
): Promise<Answer> {
  const { gateway, network } = run.context;
  const answer = await network.get({
    host: gateway.host,
    port: gateway.port,
    path: host.path,
    headers: { host: host.host, 'x-bough-probe': gateway.probeToken.reveal(), 'user-agent': 'bough-verify' },
    timeoutMs: ATTEMPT_TIMEOUT_MS,
    signal,
  });
  const cause = answer.headers['x-bough-cause'];
  if (cause !== undefined) throw new Error(`the gateway says ${String(cause)}`);
  const by = answer.headers['x-bough-deployment'];
  if (by !== run.deployment.id)
    throw new Error(`deployment ${String(by)} answered instead of ${run.deployment.id}`);
  if (answer.status >= 500) throw new Error(`it answers with status ${answer.status}`);
  return answer;
}
