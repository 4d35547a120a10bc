import { createHmac } from 'node:crypto';
import { Secret } from '@bough/domain/secret';

/** By which the worker's own probes pass the gateway's password. Derived, so that both sides know it without being told. */
export function probeToken(masterKey: Secret): Secret {
  return new Secret(createHmac('sha256', masterKey.reveal()).update('bough probe token v1').digest('hex'));
}
