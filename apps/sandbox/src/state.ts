import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

// What the sandbox remembers. Facts only; GitHub's long answers are made from them in `present/`.

export type Permission = 'admin' | 'maintain' | 'write' | 'triage' | 'read' | 'none';

export interface User {
  id: number;
  login: string;
  type: 'User' | 'Bot' | 'Organization';
}

export interface Hook {
  id: number;
  active: boolean;
  events: string[];
  url: string;
  secret: string | null;
  contentType: 'json' | 'form';
  insecureSsl: string;
  createdAt: string;
  updatedAt: string;
}

export interface Delivery {
  id: number;
  guid: string;
  hookId: number;
  deliveredAt: string;
  redelivery: boolean;
  durationS: number;
  status: string;
  statusCode: number;
  event: string;
  action: string | null;
  installationId: number | null;
  repositoryId: number | null;
  url: string;
  requestHeaders: Record<string, string>;
  payload: Record<string, unknown>;
  responseHeaders: Record<string, string> | null;
  responsePayload: string | null;
}

export interface Pull {
  id: number;
  number: number;
  state: 'open' | 'closed';
  title: string;
  body: string | null;
  user: string;
  draft: boolean;
  labels: string[];
  /** Null once the fork is deleted. */
  headRepositoryId: number | null;
  headOwner: string;
  headRef: string;
  headSha: string;
  baseRef: string;
  baseSha: string;
  createdAt: string;
  updatedAt: string;
  closedAt: string | null;
  mergedAt: string | null;
  mergedBy: string | null;
  mergeCommitSha: string | null;
}

export interface Comment {
  id: number;
  issue: number;
  user: string;
  appId: number | null;
  body: string;
  createdAt: string;
  updatedAt: string;
  reactions: { id: number; user: string; content: string; createdAt: string }[];
}

export interface Status {
  id: number;
  sha: string;
  state: 'error' | 'failure' | 'pending' | 'success';
  context: string;
  description: string | null;
  targetUrl: string | null;
  creator: string;
  createdAt: string;
}

export interface Annotation {
  path: string;
  start_line: number;
  end_line: number;
  annotation_level: string;
  message: string;
  title?: string;
  raw_details?: string;
}

export interface CheckRun {
  id: number;
  suiteId: number;
  name: string;
  headSha: string;
  status: string;
  conclusion: string | null;
  startedAt: string | null;
  completedAt: string | null;
  externalId: string | null;
  detailsUrl: string | null;
  output: { title: string | null; summary: string | null; text: string | null; annotations: Annotation[] };
  actions: { label: string; description: string; identifier: string }[];
}

export interface DeploymentStatus {
  id: number;
  state: string;
  description: string;
  environment: string;
  environmentUrl: string;
  logUrl: string;
  creator: string;
  createdAt: string;
}

export interface Deployment {
  id: number;
  sha: string;
  ref: string;
  task: string;
  environment: string;
  description: string | null;
  payload: unknown;
  transient: boolean;
  production: boolean;
  creator: string;
  appId: number | null;
  createdAt: string;
  updatedAt: string;
  statuses: DeploymentStatus[];
}

export interface Repository {
  id: number;
  owner: string;
  name: string;
  /** `owner/name` that it had before a rename or transfer; GitHub redirects them. */
  formerNames: string[];
  private: boolean;
  defaultBranch: string;
  /** The repository that this one was forked from. */
  parentId: number | null;
  createdAt: string;
  pushedAt: string;
  nextNumber: number;
  hooks: Hook[];
  permissions: Record<string, Permission>;
  pulls: Pull[];
  comments: Comment[];
  statuses: Status[];
  checkRuns: CheckRun[];
  deployments: Deployment[];
  /** The branches and tags whose events have been sent; the difference to git's own is what is new. */
  refs: Record<string, string>;
}

export interface State {
  nextId: number;
  users: User[];
  repositories: Repository[];
  app: { id: number; slug: string; hook: Hook | null; installations: Record<string, number> };
  installationTokens: { token: string; installationId: number; expiresAt: string }[];
  deliveries: Delivery[];
}

/** A bound on what is kept, per sandbox: a payload with a whole pull request has about 20 kB. */
const KEPT_DELIVERIES = 500;

/**
 * The state in memory, written to one file. Saving is asked for after each change, gathers changes for 50 ms and
 * replaces the file as a whole, so that a reader never sees half of it.
 */
export class StateFile {
  readonly state: State;
  readonly #path: string;
  #timer: NodeJS.Timeout | undefined;
  #isDirty = false;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, state: State) {
    this.#path = path;
    this.state = state;
  }

  static async open(home: string): Promise<StateFile> {
    await mkdir(home, { recursive: true, mode: 0o700 });
    const path = join(home, 'state.json');
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    return new StateFile(path, text === undefined ? emptyState() : (JSON.parse(text) as State));
  }

  nextId(): number {
    this.state.nextId += 1;
    this.save();
    return this.state.nextId;
  }

  save(): void {
    this.#isDirty = true;
    this.#timer ??= setTimeout(() => void this.#drain(), 50);
  }

  async flush(): Promise<void> {
    this.#isDirty = true;
    await this.#drain();
  }

  async #drain(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#writeChanges());
    await this.#writing;
  }

  /** One text at a time: on a slow disk those that wait would fill the memory, and each is out of date by then. */
  async #writeChanges(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.state.deliveries.splice(0, this.state.deliveries.length - KEPT_DELIVERIES);
    await this.#write(JSON.stringify(this.state));
  }

  async #write(text: string): Promise<void> {
    const temporary = `${this.#path}.${randomBytes(4).toString('hex')}`;
    await writeFile(temporary, text, { mode: 0o600 });
    await rename(temporary, this.#path);
  }
}

function emptyState(): State {
  return {
    nextId: 1000,
    users: [],
    repositories: [],
    app: { id: 1, slug: 'bough-sandbox', hook: null, installations: {} },
    installationTokens: [],
    deliveries: [],
  };
}
