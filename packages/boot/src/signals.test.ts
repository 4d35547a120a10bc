import { expect, test } from 'vitest';
import { createShutdown } from './signals.ts';

function harness(timeoutMs?: number, echoMs?: number) {
  const said: string[] = [];
  const codes: number[] = [];
  const log = { info: () => {}, warn: (_: object, message: string) => void said.push(message) };
  const shutdown = createShutdown({ log, timeoutMs, echoMs, exit: (code) => void codes.push(code) });
  return { shutdown, said, codes };
}

test('stops last what was started first, one after another, once', async () => {
  const { shutdown } = harness();
  const stopped: string[] = [];
  for (const name of ['postgres', 'server', 'gateway']) {
    shutdown.onShutdown(name, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      stopped.push(name);
    });
  }
  const [first, second] = await Promise.all([shutdown.shutDown('test'), shutdown.shutDown('again')]);
  expect(stopped).toEqual(['gateway', 'server', 'postgres']);
  expect([first, second]).toEqual([true, true]);
  expect(shutdown.signal.aborted).toBe(true);
});

test('a step that fails does not keep the others from being stopped', async () => {
  const { shutdown, said } = harness();
  let isStopped = false;
  shutdown.onShutdown('postgres', () => {
    isStopped = true;
  });
  shutdown.onShutdown('server', () => {
    throw new Error('no');
  });
  expect(await shutdown.shutDown('test')).toBe(false);
  expect(isStopped).toBe(true);
  expect(said).toEqual(['could not be stopped']);
});

test('a step that hangs does not hold the exit up for ever', async () => {
  const { shutdown } = harness(30);
  shutdown.onShutdown('stuck', () => new Promise(() => {}));
  expect(await shutdown.shutDown('test')).toBe(false);
});

test('stops also what comes to life while it stops', async () => {
  const { shutdown } = harness();
  const stopped: string[] = [];
  shutdown.onShutdown('postgres', () => {
    shutdown.onShutdown('during', () => void stopped.push('during'));
  });
  await shutdown.shutDown('test');
  shutdown.onShutdown('after', () => void stopped.push('after'));
  expect(await shutdown.shutDown('again')).toBe(true);
  expect(stopped).toEqual(['during', 'after']);
});

test('one Ctrl-C that arrives twice, and a SIGTERM after it, leave the steps their time', async () => {
  const { shutdown, codes } = harness();
  let finish = () => {};
  shutdown.onShutdown('slow', () => new Promise<void>((resolve) => (finish = resolve)));
  const unlisten = shutdown.listen();
  process.emit('SIGINT', 'SIGINT');
  process.emit('SIGINT', 'SIGINT');
  process.emit('SIGTERM', 'SIGTERM');
  expect(codes).toEqual([]);
  finish();
  await shutdown.shutDown('wait');
  await new Promise((resolve) => setImmediate(resolve));
  expect(codes).toEqual([0]);
  unlisten();
});

test('a terminal that is closed shuts down like a Ctrl-C', async () => {
  const { shutdown, codes } = harness();
  let isStopped = false;
  shutdown.onShutdown('server', () => {
    isStopped = true;
  });
  const unlisten = shutdown.listen();
  process.emit('SIGHUP', 'SIGHUP');
  await shutdown.shutDown('wait');
  await new Promise((resolve) => setImmediate(resolve));
  expect(isStopped).toBe(true);
  expect(codes).toEqual([0]);
  unlisten();
  expect(process.listenerCount('SIGHUP')).toBe(0);
});

test('the first signal shuts down and exits with 0, the same again exits at once', async () => {
  const { shutdown, codes } = harness(undefined, 0);
  let finish = () => {};
  shutdown.onShutdown('slow', () => new Promise<void>((resolve) => (finish = resolve)));
  const unlisten = shutdown.listen();
  process.emit('SIGINT', 'SIGINT');
  process.emit('SIGINT', 'SIGINT');
  expect(codes).toEqual([130]);
  finish();
  await shutdown.shutDown('wait');
  await new Promise((resolve) => setImmediate(resolve));
  expect(codes).toEqual([130, 0]);
  unlisten();
});

test('shuts down when the parent is gone', async () => {
  const { shutdown, codes } = harness();
  const unlisten = shutdown.listen();
  process.emit('disconnect');
  await shutdown.shutDown('wait');
  await new Promise((resolve) => setImmediate(resolve));
  expect(codes).toEqual([1]);
  unlisten();
});
