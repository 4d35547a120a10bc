import type { SubjectKey } from '@bough/domain/subject';

/**
 * Where code and pull requests live. Not ours, so other verbs than our drivers.
 *
 * - Every call has a timeout and takes an AbortSignal; it throws BoughError with a code of `ForgeErrorCode` and says
 *   what to do. A listing is complete or it throws: it never looks empty.
 * - `not found` is an answer ('gone'), not an error, exactly where the type says so.
 * - Credentials never reach a log, an error, a git config or a remote URL on disk.
 */
export interface Forge {
  readonly kind: 'github';
  /** Host name as in addresses: `github.com`. Part of every identity. */
  readonly host: string;
  /** What the credentials can do: check runs need an App. */
  readonly capabilities: { readonly checkRuns: boolean; readonly appDeliveries: boolean };

  /** Whether the raw bytes carry a valid signature by any of the configured secrets. */
  verify(rawBody: Buffer, headers: WebhookHeaders): Promise<'valid' | 'invalid' | 'absent'>;
  /** Which subjects a verified delivery hints at. Throws BoughError `webhook-malformed` for a body that is not the event. */
  parse(rawBody: Buffer, headers: WebhookHeaders): ParsedDelivery;

  readRepository(coordinates: RepositoryCoordinates, signal?: AbortSignal): Promise<Repository | 'gone'>;
  readPullRequest(
    repository: RepositoryRef,
    number: number,
    signal?: AbortSignal,
  ): Promise<PullRequest | 'gone'>;
  readBranch(
    repository: RepositoryRef,
    branch: string,
    signal?: AbortSignal,
  ): Promise<{ commit: string } | 'gone'>;
  /**
   * The commit that an id names, whole or abbreviated to at least seven digits, and whether it is in the history of a branch:
   * forges also show commits that exist only in forks. `gone`: there is none, or more than one.
   */
  locateCommit(
    repository: RepositoryRef,
    of: { id: string; branch: string },
    signal?: AbortSignal,
  ): Promise<{ commit: string; isInBranch: boolean } | 'gone'>;
  /**
   * Paths that the whole pull request changes, from the repository's root; of what it moves, both. `too-many`: more than the
   * forge lists.
   */
  changedFiles(
    repository: RepositoryRef,
    number: number,
    signal?: AbortSignal,
  ): Promise<readonly string[] | 'too-many'>;
  /** All open pull requests; `unchanged` when an etag was passed and nothing changed (costs no rate limit). */
  listOpen(
    repository: RepositoryRef,
    options?: { etag?: string; signal?: AbortSignal },
  ): Promise<{ pulls: PullRequest[]; etag?: string } | 'unchanged'>;

  /**
   * Comments on issues and pull requests that were written or edited then or later, least recently changed first: at most 100, and
   * whether there are more. Times are whole seconds. `unchanged` as with `listOpen`, for the same `since`.
   */
  listComments(
    repository: RepositoryRef,
    options?: { since?: Date; etag?: string; signal?: AbortSignal },
  ): Promise<{ comments: WrittenComment[]; isMore: boolean; etag?: string } | 'unchanged'>;
  /** The comment that was written last: where to begin. */
  newestComment(repository: RepositoryRef, signal?: AbortSignal): Promise<WrittenComment | 'none'>;

  /** Makes the commit present in the project's bare mirror. BoughError `commit-gone` when the forge no longer has it. */
  fetch(
    repository: RepositoryRef,
    options: { mirror: string; commit: string; signal?: AbortSignal },
  ): Promise<void>;

  /**
   * The same for a repository that the project's `.gitmodules` names. `elsewhere`: not on this host, nothing was done.
   * `anonymous` sends no credentials: for commits whose author is not trusted.
   */
  fetchSubmodule(
    repository: RepositoryRef,
    submodule: { url: string; mirror: string; commit: string; anonymous?: boolean; signal?: AbortSignal },
  ): Promise<'fetched' | 'elsewhere'>;

  /** `mayBeDoubled`: the answer to an earlier call never came, so others with the marker are looked for, and removed. */
  publishComment(
    repository: RepositoryRef,
    comment: { number: number; body: string; marker: string; externalId?: string; mayBeDoubled?: boolean },
  ): Promise<Published>;
  removeComment(repository: RepositoryRef, externalId: string): Promise<void>;
  /** Our sign on a person's comment: seen. A second one of the same kind is the first. `gone`: somebody deleted the comment. */
  react(
    repository: RepositoryRef,
    reaction: { commentId: number; content: Reaction },
    signal?: AbortSignal,
  ): Promise<'reacted' | 'gone'>;
  /** A check run where the credentials allow it, else a commit status of the same name. */
  publishCheck(repository: RepositoryRef, check: CheckReport): Promise<Published>;
  /** Creates the deployment when `externalId` is absent, then adds the status. */
  publishDeployment(repository: RepositoryRef, deployment: DeploymentReport): Promise<Published>;

  permission(repository: RepositoryRef, user: string): Promise<'admin' | 'write' | 'read' | 'none'>;

  ensureWebhook(
    repository: RepositoryRef,
    hook: { url: string; secret: string; externalId?: string },
  ): Promise<{ externalId: string }>;
  removeWebhook(repository: RepositoryRef, externalId: string): Promise<void>;
  pingWebhook(repository: RepositoryRef, externalId: string): Promise<void>;
  /** Deliveries that the forge recorded as failed since then and that were not redelivered; at most 500. */
  failedDeliveries(
    repository: RepositoryRef,
    options: { since: Date; webhookId?: string },
  ): Promise<FailedDelivery[]>;
  redeliver(
    repository: RepositoryRef,
    delivery: FailedDelivery,
    options: { webhookId?: string },
  ): Promise<void>;

  /** Opens (or finds) a pull request that adds files on a branch: the first manifest. */
  proposeFiles(
    repository: RepositoryRef,
    proposal: {
      branch: string;
      base: string;
      title: string;
      body: string;
      files: Readonly<Record<string, string>>;
    },
  ): Promise<{ number: number; url: string }>;
}

export type ForgeErrorCode =
  | 'forge-unreachable'
  | 'forge-unauthorized'
  | 'forge-forbidden'
  | 'forge-rate-limited'
  | 'forge-rejected'
  | 'commit-gone'
  | 'webhook-malformed';

export type WebhookHeaders = Readonly<Record<string, string | undefined>>;

export type RepositoryCoordinates =
  | { readonly owner: string; readonly name: string }
  | { readonly id: number; readonly forgeInstallationId?: number | undefined };

/** A repository by its id, which renames and transfers keep; owner and name are the last known. */
export interface RepositoryRef {
  readonly id: number;
  readonly owner: string;
  readonly name: string;
  readonly forgeInstallationId?: number;
}

export interface Repository extends RepositoryRef {
  readonly defaultBranch: string;
  readonly archived: boolean;
  readonly private: boolean;
  readonly url: string;
}

export interface PullRequest {
  readonly number: number;
  readonly state: 'open' | 'closed';
  readonly merged: boolean;
  readonly mergeCommit?: string;
  readonly title: string;
  readonly author: string;
  readonly authorIsBot: boolean;
  readonly url: string;
  readonly draft: boolean;
  readonly labels: readonly string[];
  readonly head: { readonly branch: string; readonly commit: string; readonly repositoryId: number | null };
  readonly base: { readonly branch: string; readonly commit: string; readonly repositoryId: number };
  readonly updatedAt: Date;
}

export interface WrittenComment {
  /** Later comments have higher ones. */
  readonly id: number;
  /** Null: it is on an issue that is no pull request. */
  readonly pullNumber: number | null;
  readonly body: string;
  /** Null: the account is gone. */
  readonly author: string | null;
  readonly authorIsBot: boolean;
  readonly writtenAt: Date;
  /** Later than `writtenAt` when somebody edited it. */
  readonly changedAt: Date;
}

export type ParsedDelivery = {
  readonly deliveryId: string;
  readonly event: string;
  readonly action: string | null;
  readonly repositoryId: number | null;
  readonly owner: string | null;
  readonly name: string | null;
} & (
  | { readonly kind: 'ping' }
  /** Look at these subjects. */
  | { readonly kind: 'subjects'; readonly subjects: readonly SubjectKey[] }
  /** A person's words on a pull request; may hold a command. */
  | {
      readonly kind: 'comment';
      readonly subject: SubjectKey;
      readonly body: string;
      readonly user: string;
      readonly commentId: number;
    }
  /** Somebody pressed a button that `publishCheck` had put on a check. */
  | {
      readonly kind: 'action';
      readonly subject: SubjectKey;
      readonly user: string;
      readonly action: string;
      /** The commit that the check stands on. */
      readonly commit: string;
    }
  /** Repositories that the installation of an App gained or lost; owner renamed, repository renamed or transferred. */
  | {
      readonly kind: 'repositories';
      readonly added: readonly RepositoryRef[];
      readonly removed: readonly number[];
    }
  | { readonly kind: 'ignored'; readonly reason: string }
);

export type Reaction = 'rocket' | '-1' | 'confused';

export interface Published {
  readonly externalId: string;
  readonly url?: string;
  /** Comment: whether it was made anew (after somebody deleted it), changed, or found unchanged. */
  readonly outcome: 'created' | 'updated';
}

export interface CheckReport {
  readonly name: string;
  readonly commit: string;
  readonly externalId?: string;
  readonly state:
    | 'queued'
    | 'in_progress'
    | 'success'
    | 'failure'
    | 'neutral'
    | 'action_required'
    | 'cancelled';
  readonly title: string;
  readonly summary: string;
  readonly detailsUrl: string;
  /** What the check is about: comes back with its buttons, because for a fork the forge names no pull request. */
  readonly subject?: SubjectKey;
  /** Buttons; where the credentials allow none, they are left out. At most three; label and identifier up to 20 characters, description 40. */
  readonly actions?: readonly {
    readonly label: string;
    readonly description: string;
    readonly identifier: string;
  }[];
  readonly annotations: readonly {
    path: string;
    line: number;
    column?: number;
    level: 'failure' | 'warning' | 'notice';
    message: string;
  }[];
}

export interface DeploymentReport {
  readonly commit: string;
  readonly environment: string;
  /**
   * Unique to this deployment (installation, environment, deployment). With it, a deployment that was created just
   * before a crash is found again instead of being created twice.
   */
  readonly marker?: string;
  /** The answer to an earlier call never came: others with the marker are looked for, and made inactive. */
  readonly mayBeDoubled?: boolean;
  readonly production: boolean;
  readonly description: string;
  readonly externalId?: string;
  readonly state: 'queued' | 'in_progress' | 'success' | 'failure' | 'inactive';
  readonly logUrl: string;
  readonly environmentUrl?: string;
}

export interface FailedDelivery {
  readonly id: number;
  readonly deliveryId: string;
  readonly event: string;
  readonly deliveredAt: Date;
}
