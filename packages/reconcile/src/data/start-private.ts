import { BoughError } from '@bough/domain/bough-error';
import type { Address, Credentials, Service, ServiceDeclaration } from '@bough/service/service';
import type { Volume } from '@bough/storage/storage';
import type { CaptureRun, StepVoice } from '../deploy/run.ts';
import { startService } from '../deploy/services.ts';
import { untilReady } from '../probe.ts';

/** A server of a capture, which nothing but the capture reaches. */
export interface PrivateService {
  readonly address: Address;
  /** Stopped cleanly and forgotten; may be called again. */
  readonly stop: () => Promise<void>;
}

/** Starts a service on a volume of a capture and waits until it answers; leaves nothing running when it does not. */
export async function startPrivate(
  parent: CaptureRun,
  what: {
    service: Service;
    declaration: ServiceDeclaration;
    credentials: Credentials;
    volume: Volume;
    workloadName: string;
    voice: StepVoice;
  },
): Promise<PrivateService> {
  const { context, lock } = parent;
  const started = await startService(parent, { ...what, mode: 'capture' });
  const stop = () => context.engine.remove(started.workload.id);
  try {
    await untilReady((signal) => what.service.ready(started.address, what.credentials, signal), {
      clock: context.clock,
      timeoutMs: context.deadlines.serviceMs,
      signal: lock.signal,
      onTimeout: (cause) =>
        new BoughError({
          code: 'capture-not-ready',
          message: `The captured copy of "${what.declaration.name}" did not start.`,
          hint: 'Bough tries again; the previous golden snapshot stays in use.',
          retryable: true,
          cause,
        }),
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { address: started.address, stop };
}
