import { createHmac } from 'node:crypto';
import { Secret } from '@bough/domain/secret';

/** Signs the links of previews. Derived, so that server, worker and gateway know it without being told; a new master key ends all links. */
export function linkKey(masterKey: Secret): Secret {
  return new Secret(createHmac('sha256', masterKey.reveal()).update('bough link key v1').digest('hex'));
}
