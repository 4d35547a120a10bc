import type { Credentials } from '@bough/service/service';
import type { Snapshot, Volume } from '@bough/storage/storage';
import { advanceSnapshot } from '@bough/store/snapshots';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import type { RawService } from './capture-together.ts';
import type { ProvedService } from './data-report.ts';
import type { Rules } from './golden-parts.ts';
import { loadSource } from './load-source.ts';
import { holdUp, isMaskedAnew, proveFiles, sanitizeService } from './sanitize-capture.ts';
import type { ReadableService } from './sourced-services.ts';
import { type PrivateService, startPrivate } from './start-private.ts';

export async function captureService(
  parent: CaptureRun,
  snapshotRowId: string,
  of: RawService | ReadableService,
  rules: Rules | null,
  voice: StepVoice,
): Promise<{
  snapshot: Snapshot;
  version: string;
  credentials: Credentials;
  proved: ProvedService | null;
  origin: string | null;
}> {
  const { context, lock } = parent;
  const { planned, service, cloning, declaration, labels, ids } = of;
  const name = `s${snapshotRowId}-${planned.name}`;
  const running: PrivateService[] = [];
  const startOn = async (volume: Volume, login: Credentials, workloadName: string) => {
    const what = { service, declaration, credentials: login, volume, workloadName, voice };
    const started = await startPrivate(parent, what);
    running.push(started);
    return started;
  };
  try {
    const from = Date.now();
    lock.signal.throwIfAborted();
    const own = service.credentials(declaration);
    const captured = 'source' in of ? {} : { from: ids.raw };
    const volume = await context.storage.ensure({ id: ids.volume, labels, ...captured });
    let started: PrivateService;
    let origin: string | null;
    if ('source' in of) {
      // Nothing but what its source says is in it: a server of our own from the first byte.
      started = await startOn(volume, own, `capture ${name}`);
      await service.provision(declaration, started.address, own);
      const { words } = await loadSource(parent, { ...of, address: started.address, own, voice });
      origin = words;
      // What was loaded may know how to reach other servers.
      await cloning.claim(started.address, own, own);
    } else {
      await cloning.defang(volume.path);
      // The program starts with the parent's password in its files; `claim` gives it one that only goldens have.
      started = await startOn(volume, of.credentials, `capture ${name}`);
      await holdUp(parent, 'capture');
      await cloning.claim(started.address, of.credentials, own);
      origin = of.origin ?? null;
    }
    const { version } = await service.ready(started.address, own, lock.signal);
    await advanceSnapshot(context.pool, snapshotRowId, 'captured');
    const isNew = rules !== null && isMaskedAnew(planned.type);
    const golden = isNew ? await context.storage.ensure({ id: ids.masked, labels }) : volume;
    const into = isNew ? await startOn(golden, own, `capture ${name} masked`) : undefined;
    if (into !== undefined) await service.provision(declaration, into.address, own);
    const masked =
      rules === null
        ? null
        : await sanitizeService(parent, {
            ...rules,
            name: planned.name,
            address: started.address,
            into: into?.address,
            credentials: own,
            voice,
          });
    for (const server of running) await server.stop();
    if (masked !== null) await advanceSnapshot(context.pool, snapshotRowId, 'sanitized');
    const proved =
      masked === null
        ? null
        : {
            sanitized: masked,
            scan: await proveFiles(parent, {
              name: planned.name,
              path: golden.path,
              sanitized: masked,
              voice,
            }),
          };
    const snapshot = await context.storage.snapshot(golden.id, { id: ids.golden, labels });
    await holdUp(parent, 'freezing');
    voice.line(`${planned.name}: cleanly stopped and frozen after ${Date.now() - from} ms`);
    return { snapshot, version, credentials: own, proved, origin };
  } finally {
    for (const server of running) await server.stop();
    await context.storage.remove(ids.volume);
    await context.storage.remove(ids.masked);
    await context.storage.removeSnapshot(ids.raw);
  }
}
