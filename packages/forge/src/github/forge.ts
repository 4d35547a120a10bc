import type { Forge } from '../forge.ts';
import { cloneUrlOf, hostOf } from './addresses.ts';
import { changedFiles } from './changed-files.ts';
import { createClient } from './client.ts';
import type { GitHubContext } from './context.ts';
import { createCredentials } from './credentials.ts';
import { ensureWebhook } from './ensure-webhook.ts';
import { failedDeliveries } from './failed-deliveries.ts';
import { fetchCommit } from './fetch-commit.ts';
import { fetchSubmodule } from './fetch-submodule.ts';
import { listComments, newestComment } from './list-comments.ts';
import { listOpen } from './list-open.ts';
import { locateCommit } from './locate-commit.ts';
import type { GitHubForgeOptions } from './options.ts';
import { parse } from './parse.ts';
import { permission } from './permission.ts';
import { pingWebhook } from './ping-webhook.ts';
import { proposeFiles } from './propose-files.ts';
import { publishCheck } from './publish-check.ts';
import { publishComment, removeComment } from './publish-comment.ts';
import { publishDeployment } from './publish-deployment.ts';
import { react } from './react.ts';
import { readBranch } from './read-branch.ts';
import { readPullRequest } from './read-pull-request.ts';
import { readRepository } from './read-repository.ts';
import { redeliver } from './redeliver.ts';
import { removeWebhook } from './remove-webhook.ts';
import { createVerify } from './verify.ts';

/** GitHub.com, GitHub Enterprise Server, and the sandbox forge, which speaks the same. */
export function createGitHubForge(options: GitHubForgeOptions): Forge {
  const client = createClient(options);
  const context: GitHubContext = {
    options,
    client,
    host: hostOf(options.apiUrl),
    credentials: createCredentials(options, client),
    log: options.log,
    cloneUrlFor: options.cloneUrlFor ?? ((repository) => cloneUrlOf(options.apiUrl, repository)),
  };
  const isApp = options.auth.kind === 'app';
  return {
    kind: 'github',
    host: context.host,
    capabilities: { checkRuns: isApp, appDeliveries: isApp },
    verify: createVerify(options),
    parse,
    readRepository: (...args) => readRepository(context, ...args),
    readPullRequest: (...args) => readPullRequest(context, ...args),
    readBranch: (...args) => readBranch(context, ...args),
    locateCommit: (...args) => locateCommit(context, ...args),
    changedFiles: (...args) => changedFiles(context, ...args),
    listOpen: (...args) => listOpen(context, ...args),
    listComments: (...args) => listComments(context, ...args),
    newestComment: (...args) => newestComment(context, ...args),
    fetch: (...args) => fetchCommit(context, ...args),
    fetchSubmodule: (...args) => fetchSubmodule(context, ...args),
    publishComment: (...args) => publishComment(context, ...args),
    removeComment: (...args) => removeComment(context, ...args),
    react: (...args) => react(context, ...args),
    publishCheck: (...args) => publishCheck(context, ...args),
    publishDeployment: (...args) => publishDeployment(context, ...args),
    permission: (...args) => permission(context, ...args),
    ensureWebhook: (...args) => ensureWebhook(context, ...args),
    removeWebhook: (...args) => removeWebhook(context, ...args),
    pingWebhook: (...args) => pingWebhook(context, ...args),
    failedDeliveries: (...args) => failedDeliveries(context, ...args),
    redeliver: (...args) => redeliver(context, ...args),
    proposeFiles: (...args) => proposeFiles(context, ...args),
  };
}
