import type { ForgeLog } from '../forge-log.ts';
import type { GitHubClient } from './client.ts';
import type { Credentials } from './credentials.ts';
import type { GitHubForgeOptions } from './options.ts';

/** What each function of this driver works with. */
export interface GitHubContext {
  readonly options: GitHubForgeOptions;
  readonly host: string;
  readonly client: GitHubClient;
  readonly credentials: Credentials;
  readonly log: ForgeLog;
  readonly cloneUrlFor: (repository: { owner: string; name: string }) => string;
}
