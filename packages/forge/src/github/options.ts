import type { Secret } from '@bough/domain/secret';
import type { ForgeLog } from '../forge-log.ts';
import type { GitCommand } from '../git/run-git.ts';

export type GitHubAuth =
  | { readonly kind: 'token'; readonly token: Secret }
  | { readonly kind: 'app'; readonly appId: number | string; readonly privateKey: Secret };

export interface GitHubForgeOptions {
  /** `https://api.github.com`, or `https://host/api/v3` for Enterprise Server. */
  readonly apiUrl: string;
  /** Any of them may have signed a delivery; several while a secret is rotated. */
  readonly webhookSecrets: readonly Secret[];
  readonly auth: GitHubAuth;
  readonly log: ForgeLog;
  readonly gitCommand: GitCommand;
  /** Where git finds a repository; by default derived from `apiUrl`. */
  readonly cloneUrlFor?: (repository: { owner: string; name: string }) => string;
  /** Replaces the global fetch: a proxy agent, a recorder in tests. */
  readonly fetch?: typeof globalThis.fetch;
  /** Per request, body included. Default 15 s. */
  readonly requestTimeoutMs?: number;
  /** For one fetch of source, waiting for the mirror's lock included. Default 10 min. */
  readonly fetchTimeoutMs?: number;
  /** GitHub asks for at least a second between writes; the sandbox forge needs none. Default 1000. */
  readonly writeSpacingMs?: number;
  /** First pause before a read is tried again; it grows as 1, 4, 9. Default 1000. */
  readonly retryPauseMs?: number;
  /** A limit that asks for a longer wait is thrown as `forge-rate-limited` for the caller's schedule. Default 5 s. */
  readonly rateLimitWaitMaxMs?: number;
  readonly clock?: () => Date;
}
