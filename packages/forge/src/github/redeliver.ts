import type { FailedDelivery, RepositoryRef } from '../forge.ts';
import type { GitHubContext } from './context.ts';
import { deliveryLedger, ledgerRoute } from './deliveries.ts';
import { Anything } from './replies.ts';

/** Asks for another attempt: it arrives as a webhook with the same delivery id. */
export async function redeliver(
  context: GitHubContext,
  repository: RepositoryRef,
  delivery: FailedDelivery,
  options: { webhookId?: string },
): Promise<void> {
  const ledger = await deliveryLedger(context, repository, options.webhookId);
  await context.client.call(
    ledgerRoute('POST', `${ledger.path}/{delivery_id}/attempts`),
    { ...ledger.parameters, delivery_id: delivery.id },
    { authorization: ledger.authorization, reply: Anything },
  );
}
