import { createHash } from 'node:crypto';
import type { Secret } from '@bough/domain/secret';

/**
 * What MariaDB stores instead of a password (mysql_native_password). Made here, so that the password itself never is
 * part of a statement, which a server may log. Every client speaks this method; our passwords are 192 random bits, so
 * that the hash, which is a weak one, cannot be turned back.
 */
export function nativePassword(password: Secret): string {
  const once = createHash('sha1').update(password.reveal()).digest();
  return `*${createHash('sha1').update(once).digest('hex').toUpperCase()}`;
}
