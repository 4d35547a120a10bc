import { randomBytes } from 'node:crypto';
import { Secret } from '@bough/domain/secret';

/** 192 random bits in characters that need no escaping in URLs, shells and configuration files. */
export function randomSecret(): Secret {
  return new Secret(randomBytes(24).toString('hex'));
}
