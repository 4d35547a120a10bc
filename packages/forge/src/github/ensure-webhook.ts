import { z } from 'zod';
import type { RepositoryRef } from '../forge.ts';
import { callRepository } from './call-repository.ts';
import type { GitHubContext } from './context.ts';
import { statusOf } from './to-forge-error.ts';

/** What is listened to; everything else would only be noise in the list of deliveries. */
const WEBHOOK_EVENTS = [
  'pull_request',
  'push',
  'delete',
  'issue_comment',
  'check_run',
  'repository',
] as const;

const HookReply = z.object({ id: z.number(), config: z.object({ url: z.string().optional() }) });
const PAGES_MAX = 10;

/** One webhook per url: changed by its id, or found by its url, or created. Needs admin rights on the repository. */
export async function ensureWebhook(
  context: GitHubContext,
  repository: RepositoryRef,
  hook: { url: string; secret: string; externalId?: string },
): Promise<{ externalId: string }> {
  if (hook.externalId !== undefined && (await update(context, repository, hook.externalId, hook))) {
    return { externalId: hook.externalId };
  }
  const found = await findByUrl(context, repository, hook.url);
  if (found !== undefined && (await update(context, repository, found, hook))) return { externalId: found };
  const { data } = await callRepository(context, repository, {
    method: 'POST',
    path: '/hooks',
    parameters: { name: 'web', ...settingsOf(hook) },
    reply: HookReply,
  });
  return { externalId: String(data.id) };
}

function settingsOf({ url, secret }: { url: string; secret: string }): Record<string, unknown> {
  return {
    active: true,
    events: [...WEBHOOK_EVENTS],
    config: { url, content_type: 'json', secret, insecure_ssl: '0' },
  };
}

/** False when there is no webhook of this id. */
async function update(
  context: GitHubContext,
  repository: RepositoryRef,
  externalId: string,
  hook: { url: string; secret: string },
): Promise<boolean> {
  try {
    await callRepository(context, repository, {
      method: 'PATCH',
      path: '/hooks/{hook_id}',
      parameters: { hook_id: Number(externalId), ...settingsOf(hook) },
      reply: HookReply,
    });
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}

async function findByUrl(
  context: GitHubContext,
  repository: RepositoryRef,
  url: string,
): Promise<string | undefined> {
  for (let page = 1; page <= PAGES_MAX; page += 1) {
    const { data, next } = await callRepository(context, repository, {
      method: 'GET',
      path: '/hooks',
      parameters: { per_page: 100, page },
      reply: z.array(HookReply),
    });
    const found = data.find((hook) => hook.config.url === url);
    if (found) return String(found.id);
    if (!next) break;
  }
  return undefined;
}
