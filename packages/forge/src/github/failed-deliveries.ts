import { z } from 'zod';
import type { FailedDelivery, RepositoryRef } from '../forge.ts';
import type { GitHubContext } from './context.ts';
import { deliveryLedger, ledgerRoute } from './deliveries.ts';

const DeliveryReply = z.object({
  id: z.number(),
  guid: z.string(),
  delivered_at: z.string(),
  status_code: z.number(),
  event: z.string(),
  repository_id: z.number().nullish(),
});
type DeliveryReply = z.output<typeof DeliveryReply>;

const PAGES_MAX = 100;
const FAILED_MAX = 500;

/**
 * What the forge recorded since then and never got a 2xx for. It redelivers nothing by itself. Attempts of one
 * delivery share their guid, newest first; one that succeeded settles the delivery. Page by page: the ledger is kept
 * for 3 days and has no other order. Oldest first in the answer, so that events are replayed as they happened.
 */
export async function failedDeliveries(
  context: GitHubContext,
  repository: RepositoryRef,
  options: { since: Date; webhookId?: string },
): Promise<FailedDelivery[]> {
  const attempts = await attemptsSince(context, repository, options);
  const byGuid = new Map<string, DeliveryReply[]>();
  for (const attempt of attempts) byGuid.set(attempt.guid, [...(byGuid.get(attempt.guid) ?? []), attempt]);
  return [...byGuid.values()]
    .filter((tries) => !tries.some(({ status_code: status }) => status >= 200 && status < 300))
    .flatMap((tries) => tries.at(-1) ?? [])
    .map((first) => ({
      id: first.id,
      deliveryId: first.guid,
      event: first.event,
      deliveredAt: new Date(first.delivered_at),
    }))
    .reverse()
    .slice(0, FAILED_MAX);
}

async function attemptsSince(
  context: GitHubContext,
  repository: RepositoryRef,
  { since, webhookId }: { since: Date; webhookId?: string },
): Promise<DeliveryReply[]> {
  const ledger = await deliveryLedger(context, repository, webhookId);
  const attempts: DeliveryReply[] = [];
  let cursor: string | undefined;
  for (let page = 1; page <= PAGES_MAX; page += 1) {
    const { data, next } = await context.client.call(
      ledgerRoute('GET', ledger.path),
      { ...ledger.parameters, per_page: 100, ...(cursor === undefined ? {} : { cursor }) },
      { authorization: ledger.authorization, reply: z.array(DeliveryReply) },
    );
    for (const attempt of data) {
      if (new Date(attempt.delivered_at) < since) return attempts;
      const elsewhere =
        ledger.shared && attempt.repository_id != null && attempt.repository_id !== repository.id;
      if (!elsewhere) attempts.push(attempt);
    }
    const following = next?.searchParams.get('cursor') ?? undefined;
    if (following === undefined || following === cursor) return attempts;
    cursor = following;
  }
  context.log.warn(
    { repositoryId: repository.id, pages: PAGES_MAX },
    'the list of deliveries is longer than is read; older failures are left to resync',
  );
  return attempts;
}
