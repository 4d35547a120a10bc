import { Webhooks } from '@octokit/webhooks';
import type { WebhookHeaders } from '../forge.ts';
import { headerOf } from './header-of.ts';
import type { GitHubForgeOptions } from './options.ts';

/**
 * Tries each secret, every time in constant time. Only the sha256 signature counts: GitHub still sends the sha1 one,
 * which is refused here because it can be forged.
 */
export function createVerify(options: Pick<GitHubForgeOptions, 'webhookSecrets'>) {
  const verifiers = options.webhookSecrets.map((secret) => new Webhooks({ secret: secret.reveal() }));
  return async (rawBody: Buffer, headers: WebhookHeaders): Promise<'valid' | 'invalid' | 'absent'> => {
    const signature = headerOf(headers, 'x-hub-signature-256');
    if (signature === undefined || signature === '') return 'absent';
    if (rawBody.length === 0) return 'invalid';
    // Bytes that are no UTF-8 do not survive this and so do not verify; GitHub sends JSON, which is UTF-8.
    const payload = rawBody.toString('utf8');
    const verdicts = await Promise.all(verifiers.map((webhooks) => webhooks.verify(payload, signature)));
    return verdicts.includes(true) ? 'valid' : 'invalid';
  };
}
