import type { RepositoryRef } from '../forge.ts';
import { ForgeError } from '../forge-error.ts';
import type { Authorization, Route } from './client.ts';
import type { GitHubContext } from './context.ts';

/** Where deliveries are recorded: a repository's own webhook, or the App's. */
export interface DeliveryLedger {
  readonly path: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly authorization: Authorization;
  /** The App's ledger holds the deliveries of all repositories. */
  readonly shared: boolean;
}

export async function deliveryLedger(
  context: GitHubContext,
  repository: RepositoryRef,
  webhookId: string | undefined,
): Promise<DeliveryLedger> {
  if (webhookId !== undefined) {
    return {
      path: '/repos/{owner}/{repo}/hooks/{hook_id}/deliveries',
      parameters: { owner: repository.owner, repo: repository.name, hook_id: Number(webhookId) },
      authorization: await context.credentials.forRepository(repository),
      shared: false,
    };
  }
  const app = context.credentials.forApp();
  if (app) return { path: '/app/hook/deliveries', parameters: {}, authorization: await app, shared: true };
  throw new ForgeError({
    code: 'forge-rejected',
    message: `${repository.owner}/${repository.name} has no webhook of ours whose deliveries could be listed.`,
    hint: 'Create it with "bough project add", or use a GitHub App.',
  });
}

export function ledgerRoute(method: 'GET' | 'POST', path: string): Route {
  return `${method} ${path.startsWith('/') ? path : `/${path}`}` as Route;
}
