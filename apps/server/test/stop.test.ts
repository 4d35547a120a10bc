import { mkdir, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { openDeployment } from '@bough/store/deployments';
import { takeLease, writeDesired } from '@bough/store/environments';
import { startStep } from '@bough/store/steps';
import { createTestDatabase, type TestDatabase } from '@bough/testkit/test-database';
import { createTestRedis, type TestRedis } from '@bough/testkit/test-redis';
import { waitFor } from '@bough/testkit/wait-for';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listen } from '../src/server.ts';
import { stepLogFile } from '../src/step-log.ts';
import { bearer, startServer, type TestServer } from './harness.ts';

let database: TestDatabase;
let redis: TestRedis;

beforeAll(async () => {
  [database, redis] = [await createTestDatabase(), await createTestRedis()];
});

afterAll(async () => {
  await redis?.drop();
  await database?.drop();
});

test('a stop does not wait for connections that never asked anything, nor for logs that are followed', async () => {
  const server = await startServer({ databaseUrl: database.url, redisUrl: redis.url });
  const address = await listen(server.app, { host: '127.0.0.1', port: 0 });
  const unused = await connectTo(Number(new URL(address).port));
  const deploymentId = await runningStep(server);
  const answer = await fetch(`${address}/api/v1/deployments/${deploymentId}/steps/build/stream`, {
    headers: bearer,
  });
  let text = '';
  const reading = (async () => {
    for await (const chunk of answer.body ?? []) text += Buffer.from(chunk).toString();
  })();
  await waitFor('the line so far', () => text.includes('data: so far'));
  const began = Date.now();
  await server.close();
  expect(Date.now() - began).toBeLessThan(5_000);
  // Without the event `end` the reader knows that it may come back.
  await reading;
  expect(text).not.toContain('event: end');
  expect(unused.destroyed || unused.readyState === 'closed' || (await closed(unused))).toBe(true);
});

test('a port that is taken is said with what to do', async () => {
  const server = await startServer({ databaseUrl: database.url, redisUrl: redis.url });
  const other = await startServer({ databaseUrl: database.url, redisUrl: redis.url });
  try {
    const address = await listen(server.app, { host: '127.0.0.1', port: 0 });
    const port = Number(new URL(address).port);
    await expect(listen(other.app, { host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'port-taken',
      hint: expect.stringContaining('BOUGH_PORT'),
    });
  } finally {
    await server.close();
    await other.close();
  }
});

function connectTo(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('connect', () => resolve(socket)));
}

function closed(socket: Socket): Promise<boolean> {
  socket.resume();
  return new Promise((resolve) => socket.once('close', () => resolve(true)));
}

async function runningStep(server: TestServer): Promise<string> {
  const project = await server.addProject(900);
  const { environment } = await writeDesired(server.pool, {
    projectId: project.id,
    installationId: project.installationId,
    subject: 'pull/1',
    slug: 'pr-1--stop',
    kind: 'preview',
    facts: {},
    desiredState: 'running',
    desiredCommit: 'a'.repeat(40),
    policyCommit: null,
    heldReason: null,
    variablesRevision: '0',
    requestId: null,
  });
  const lease = (await takeLease(server.pool, environment.id)) ?? '';
  const fence = { environmentId: environment.id, generation: environment.generation, lease };
  const { id } = await openDeployment(server.pool, fence, 'a'.repeat(40));
  await startStep(server.pool, fence, { deploymentId: id, ordinal: 1, name: 'build' });
  const file = stepLogFile(server.logsDir, { deploymentId: id, name: 'build' });
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, 'so far\n');
  return id;
}
