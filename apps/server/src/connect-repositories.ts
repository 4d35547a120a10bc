import type { BoughHome } from '@bough/boot/home';
import { BoughError } from '@bough/domain/bough-error';
import { systemClock } from '@bough/domain/clock';
import type { Forge } from '@bough/forge/forge';
import type { ForgeLog } from '@bough/forge/forge-log';
import { createGitHubForge } from '@bough/forge/github/forge';
import type { Queues } from '@bough/queue/queue';
import {
  type Connecting,
  connectProject,
  disconnectProject,
  proposeManifest,
} from '@bough/reconcile/connect-project';
import { openBranch } from '@bough/reconcile/open-branch';
import type pg from 'pg';
import type { ServerConfig } from './config.ts';
import type { ServerOptions } from './options.ts';

/** The forges that the configuration connects, and how repositories on them become projects. */
export function connectRepositories(given: {
  config: ServerConfig;
  home: BoughHome;
  pool: pg.Pool;
  queues: Queues;
  log: ForgeLog;
}): Pick<ServerOptions, 'projects'> & { forges: Record<string, Forge> } {
  const { config, pool, queues } = given;
  // The server never fetches source: git is the worker's.
  const gitCommand = { command: 'git', env: {} };
  const github = config.github && createGitHubForge({ ...config.github, log: given.log, gitCommand });
  const connecting = (): Connecting => {
    if (github === null) throw notConfigured();
    return {
      pool,
      installationId: given.home.installationId,
      forge: github,
      publicUrl: config.publicUrl,
      webhookSecret: config.github?.webhookSecrets[0] ?? null,
      enqueue: (queue, key) => queues.enqueue(queue, key),
    };
  };
  return {
    forges: github === null ? {} : { github },
    projects: {
      connect: (request) => connectProject(connecting(), request),
      disconnect: (project) => disconnectProject(connecting(), project),
      propose: (project, app) => proposeManifest(connecting(), project, app),
      branch: (project, wish, signal) =>
        openBranch({ pool, forge: connecting().forge, clock: systemClock }, project, wish, signal),
    },
  };
}

function notConfigured(): BoughError {
  return new BoughError({
    code: 'forge-not-configured',
    message: 'Nothing connects Bough to GitHub.',
    hint: 'Set GITHUB_TOKEN, or GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, and start again.',
  });
}
