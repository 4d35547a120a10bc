import type { WebhookHeaders } from '../forge.ts';

/** Node's servers give names in lower case; stored deliveries and tests may not. */
export function headerOf(headers: WebhookHeaders, name: string): string | undefined {
  const exact = headers[name];
  if (exact !== undefined) return exact;
  const other = Object.keys(headers).find((key) => key.toLowerCase() === name);
  return other === undefined ? undefined : headers[other];
}
