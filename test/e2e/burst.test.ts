import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { burstEnvironment, burstProject, runBurst } from './burst.ts';
import { expectDeployedOnce, expectNoWorkLeft, sweep } from './findings.ts';
import { connectRepository, openStage, type Repository, type Stage } from './stage.ts';

/** The same with 1,000 webhooks on 50 pull requests: `npm run bench -- burst`. */
const PULLS = 6;
const WEBHOOKS = 300;
const WHOLE_MS = 300_000;
const secret = randomBytes(24).toString('hex');

let stage: Stage;
let tiny: Repository;

beforeAll(async () => {
  stage = await openStage({ environment: burstEnvironment(secret) });
  tiny = await connectRepository(stage.forge, [stage], { name: 'tiny', files: await burstProject() });
}, WHOLE_MS);

afterAll(() => stage?.close(), WHOLE_MS);

test(
  'a burst of webhooks is as many deployments as pull requests, whoever is killed meanwhile',
  async () => {
    const burst = await runBurst(stage, tiny, {
      pulls: PULLS,
      webhooks: WEBHOOKS,
      secret,
      timeoutMs: 120_000,
    });
    expect(burst.accepted).toBe(WEBHOOKS);
    const again = burst.inFlight.reduce((sum, count) => sum + count, 0);
    expect(burst.deployments).toBeLessThanOrEqual(PULLS + again);
    for (const pull of burst.pulls) await expectDeployedOnce(stage, pull);
    await expectNoWorkLeft(stage);
    for (const pull of burst.pulls) await tiny.close(pull.number);
    for (const pull of burst.pulls) await stage.untilRemoved(pull.slug);
    for (const pull of burst.pulls) await sweep(stage, tiny, pull);
  },
  WHOLE_MS,
);
