import type { Address, Credentials, Service, ServiceDeclaration } from '@bough/service/service';
import type { SnapshotHooks } from '@bough/storage/storage';
import type { CaptureRun } from './run.ts';

/** Copies of hundreds of gigabytes take hours; what takes longer has hung. */
const copyTimeoutMs = 4 * 60 * 60_000;

/** How a running service takes part in a copy of its volume; undefined where the storage copies it in one instant. */
export function copyRunning(
  run: Pick<CaptureRun, 'context' | 'environment' | 'lock'>,
  of: { service: Service; declaration: ServiceDeclaration; address: Address; credentials: Credentials },
): SnapshotHooks | undefined {
  const { context, environment, lock } = run;
  const { cloning } = of.service;
  if (context.storage.atomic || cloning === undefined) return undefined;
  return cloning.join(of.address, of.credentials, async (program, paths) => {
    const result = await context.engine.run({
      toolchains: [of.service.toolchain(of.declaration)],
      env: program.env,
      mounts: [
        { source: paths.source, at: '/data', readOnly: true },
        { source: paths.copy, at: '/copy' },
      ],
      hosts: {},
      limits: of.service.program(of.declaration, of.credentials, 'capture').limits,
      labels: {
        installationId: context.installationId,
        environmentId: environment.id,
        role: 'capture',
        name: `copy ${of.declaration.name}`,
      },
      command: program.command,
      timeoutMs: copyTimeoutMs,
      signal: lock.signal,
    });
    lock.signal.throwIfAborted();
    return result;
  });
}
