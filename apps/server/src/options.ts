import type { Metrics } from '@bough/boot/metrics';
import type { PublicKey } from '@bough/domain/attestation-key';
import type { Secret } from '@bough/domain/secret';
import type { Engine } from '@bough/engine/engine';
import type { Forge } from '@bough/forge/forge';
import type { Queues } from '@bough/queue/queue';
import type { BranchWish, OpenedBranch } from '@bough/reconcile/open-branch';
import type { Encryption } from '@bough/store/encryption';
import type { Project } from '@bough/store/projects';
import type pg from 'pg';

/** What the server is made of. It keeps no state of its own: any number of them may run on one Postgres and one queue. */
export interface ServerOptions {
  readonly installationId: string;
  readonly version: string;
  readonly pool: pg.Pool;
  readonly queues: Pick<Queues, 'enqueue' | 'counts'>;
  readonly encryption: Encryption;
  /** By path segment: `/webhooks/github`. */
  readonly forges: Readonly<Record<string, Forge>>;
  readonly adminToken: Secret;
  /** Public halves of the keys in BOUGH_HOME, the current one first: what they signed holds, whatever the database says. */
  readonly attestationKeys: readonly PublicKey[];
  /** Where people reach this server: `https://bough.example.com`. */
  readonly publicUrl: string;
  /** Signs the links of previews. */
  readonly linkKey: Secret;
  /** Pattern of the previews' addresses: `http://*.localhost:8080`. */
  readonly previewUrl: string;
  readonly metrics: Metrics;
  /** Steps' logs are `<logsDir>/deployments/<deployment id>/<step name>.log`. */
  readonly logsDir: string;
  readonly log: ServerLog;
  /** Absent where workloads cannot be reached from this process: their logs then cannot be read here. */
  readonly engine?: Pick<Engine, 'list' | 'logs'>;
  readonly projects: {
    /** Adds a project after a look at the forge, and makes its deliveries come in. */
    connect(request: ConnectRequest): Promise<Project>;
    /** Ends the deliveries and marks the project removed; its environments are asked away by observe. */
    disconnect(project: Project): Promise<void>;
    /** Opens (or finds) the pull request that adds the project's first manifest. */
    propose(project: Project, app: { type: string; start: string }): Promise<{ number: number; url: string }>;
    /** Asks for an environment for a bug, without a pull request; whoever calls makes somebody look. */
    branch(project: Project, wish: BranchWish, signal: AbortSignal): Promise<OpenedBranch>;
  };
  /** Whether repositories of this account may become projects by installing the App (BOUGH_ALLOWED_OWNERS). */
  readonly isAllowedOwner: (owner: string) => boolean;
}

export interface ConnectRequest {
  readonly owner: string;
  readonly name: string;
  readonly production: 'external' | 'managed';
  /** Left out: whatever the forge's credentials and the network allow. */
  readonly intake?: 'webhook' | 'app' | 'poll';
}

/** The part of a logger that is used here; pino's fits. */
export interface ServerLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
