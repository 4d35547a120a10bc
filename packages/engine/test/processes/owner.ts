import { testToolchain } from '@bough/testkit/test-toolchain';
import { createProcessEngine } from '../../src/process/engine.ts';
import { workloadSpec } from '../process-world.ts';

/** A Bough process to be killed: does one thing with an engine, says when it begins and when it is done, then waits. */
const [home, installationId, verb, id] = process.argv.slice(2);
if (!home || !installationId || !verb || !id) throw new Error('usage: owner HOME INSTALLATION VERB ID');

const log = { info: () => undefined, warn: () => undefined };
const engine = await createProcessEngine({ home, installationId, toolchain: await testToolchain(), log });
const spec = { ...workloadSpec(installationId, id), listens: true };
const { labels, ...rest } = spec;
const said = (line: string) => process.stdout.write(`${line}\n`);

const verbs: Record<string, () => Promise<unknown>> = {
  ensure: () => engine.ensure(spec),
  remove: () => engine.remove(id),
  run: () => engine.run({ ...rest, labels, command: '(sleep 1001 &) ; sleep 1002', timeoutMs: 600_000 }),
  forks: () =>
    engine.run({
      ...{ ...rest, labels, timeoutMs: 60_000, limits: { ...spec.limits, pids: 20 } },
      command: 'i=0; while [ $i -lt 60 ]; do sleep 1013 & i=$((i+1)); done; sleep 1',
    }),
  build: () =>
    engine.build({
      ...{
        key: id,
        toolchains: [],
        source: process.argv[6] ?? '/nonexistent',
        env: {},
        labels,
        limits: spec.limits,
      },
      ...{ hook: process.argv[7] ?? '', cache: { key: 'cache', mode: 'shared' }, timeoutMs: 600_000 },
      onOutput: said,
    }),
};

said('begins');
const result = await verbs[verb]?.();
said(`done ${JSON.stringify(result ?? null)}`);
setInterval(() => undefined, 1_000);
