import type { WorkloadLabels, WorkloadSpec } from '../engine.ts';

/** What is written into the environment of the running thing itself, so that it is known even when all files are lost. */
export interface WorkloadRecord {
  readonly id: string;
  readonly labels: WorkloadLabels;
  readonly specDigest: string;
  readonly port?: number;
  readonly stopSignal: WorkloadSpec['stopSignal'];
  readonly stopGraceMs: number;
}

export function installationMarker(installationId: string): string {
  return `BOUGH_INSTALLATION=${installationId}`;
}

export function labelVariables(labels: WorkloadLabels): Record<string, string> {
  return {
    BOUGH_INSTALLATION: labels.installationId,
    BOUGH_ENVIRONMENT: labels.environmentId,
    BOUGH_ROLE: labels.role,
    BOUGH_NAME: labels.name,
    ...(labels.release === undefined ? {} : { BOUGH_RELEASE: labels.release }),
  };
}

export function recordVariables(record: WorkloadRecord): Record<string, string> {
  return {
    ...labelVariables(record.labels),
    BOUGH_WORKLOAD: record.id,
    BOUGH_SPEC_DIGEST: record.specDigest,
    BOUGH_STOP_SIGNAL: record.stopSignal,
    BOUGH_STOP_GRACE_MS: String(record.stopGraceMs),
    ...(record.port === undefined ? {} : { BOUGH_PORT: String(record.port) }),
  };
}

/** Undefined for what is not a workload of ours, such as a run. */
export function parseRecord(env: Readonly<Record<string, string>>): WorkloadRecord | undefined {
  const id = env.BOUGH_WORKLOAD;
  const labels = parseLabels(env);
  if (id === undefined || labels === undefined) return undefined;
  const port = Number(env.BOUGH_PORT);
  return {
    id,
    labels,
    specDigest: env.BOUGH_SPEC_DIGEST ?? '',
    stopSignal: stopSignals.find((signal) => signal === env.BOUGH_STOP_SIGNAL) ?? 'SIGTERM',
    stopGraceMs: Number(env.BOUGH_STOP_GRACE_MS) || 0,
    ...(port > 0 ? { port } : {}),
  };
}

const stopSignals = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
const roles = ['web', 'worker', 'cron', 'service', 'capture', 'rehearsal'] as const;

function parseLabels(env: Readonly<Record<string, string>>): WorkloadLabels | undefined {
  const role = roles.find((known) => known === env.BOUGH_ROLE);
  const { BOUGH_INSTALLATION: installationId, BOUGH_ENVIRONMENT: environmentId, BOUGH_NAME: name } = env;
  if (role === undefined || installationId === undefined || environmentId === undefined || name === undefined)
    return undefined;
  const release = env.BOUGH_RELEASE;
  return { installationId, environmentId, role, name, ...(release === undefined ? {} : { release }) };
}
