import { get } from '@bough/reconcile/probe';
import { processesOf } from '@bough/testkit/leaks';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { connectRepository, openStage, type Repository, type Stage } from './stage.ts';
import { tinyProject } from './tiny-project.ts';

/** A preview is put to sleep and woken by a visitor, on real processes and a real database. */

const TEST_MS = 180_000;

let stage: Stage;
let tiny: Repository;

beforeAll(async () => {
  stage = await openStage({ environment: { BOUGH_VISITS_SECONDS: '0.2' } });
  tiny = await connectRepository(stage.forge, [stage], {
    name: 'tiny',
    files: await tinyProject({ database: true }),
  });
}, TEST_MS);

afterAll(() => stage?.close(), TEST_MS);

const Workloads = z.object({ workloads: z.array(z.object({ id: z.string() })) });

/** Processes of the operating system that belong to any of the environment's workloads. */
async function processes(workloads: readonly string[]): Promise<number> {
  const found = await Promise.all(workloads.map((id) => processesOf({ marker: `BOUGH_WORKLOAD=${id}` })));
  return found.flat().length;
}

function visitAs(slug: string, headers: Readonly<Record<string, string>>) {
  return get({
    host: '127.0.0.1',
    port: stage.gatewayPort,
    path: '/hook-runs',
    headers: { host: `${slug}.localhost:${stage.gatewayPort}`, ...headers },
    timeoutMs: 60_000,
    signal: AbortSignal.timeout(60_000),
  });
}

test(
  'asleep it has no process and all its data; a person wakes it, a crawler does not',
  async () => {
    const { slug, commit } = await tiny.open('cart');
    const ready = await stage.untilReady(slug, commit);
    expect(await stage.ask(slug, '/hook-runs')).toEqual([commit]);
    await waitFor(
      'the visit to be noted',
      async () => (await stage.readEnvironment(slug))?.lastVisitAt !== null,
    );
    const { workloads } = Workloads.parse(await stage.api.get(`/environments/${slug}/workloads`));
    const ids = workloads.map(({ id }) => id);
    expect(ids).toHaveLength(2);
    expect(await processes(ids)).toBeGreaterThan(1);

    await stage.api.send('POST', `/environments/${slug}/actions`, { kind: 'sleep', askedBy: 'ada' });
    await stage.untilEnvironment(slug, (row) => row.phase === 'asleep');
    await waitFor('its processes to be gone', async () => (await processes(ids)) === 0);
    expect(await stage.readEnvironment(slug)).toMatchObject({
      sleepReason: 'ada asked for it',
      routes: [expect.objectContaining({ state: 'asleep' })],
    });

    for (const headers of [
      { 'user-agent': 'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)' },
      { 'user-agent': 'Mozilla/5.0 (X11) Chrome/130.0', 'sec-purpose': 'prefetch' },
    ]) {
      const refused = await visitAs(slug, headers);
      expect(refused).toMatchObject({
        status: 503,
        headers: { 'x-bough-cause': 'asleep', 'retry-after': '60' },
      });
    }
    expect(await processes(ids)).toBe(0);
    expect((await stage.readEnvironment(slug))?.phase).toBe('asleep');

    // Two at once, as a page and its pictures are.
    const [woken, beside] = await Promise.all([visitAs(slug, {}), visitAs(slug, {})]);
    expect([woken.status, beside.status]).toEqual([200, 200]);
    expect(JSON.parse(woken.body)).toEqual([commit]);
    const awake = await stage.untilEnvironment(slug, (row) => row.phase === 'ready');
    expect(awake.releaseDeploymentId).toBe(ready.releaseDeploymentId);
    expect(awake.deployment?.id).toBe(ready.deployment?.id);
  },
  TEST_MS,
);
