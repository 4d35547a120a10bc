import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '@bough/domain/secret';
import type { Login } from '../endpoint-login.ts';
import type { Credentials } from '../service.ts';

const iterations = 4096;

/**
 * What PostgreSQL stores instead of a password (RFC 5802). Made here, so that the password itself never is part of a
 * statement, which a server may log. Our passwords are plain ASCII, so they need no SASLprep.
 */
export async function scramVerifier(password: Secret): Promise<string> {
  const salt = randomBytes(16);
  const salted = await promisify(pbkdf2)(password.reveal(), salt, iterations, 32, 'sha256');
  const keyed = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(keyed('Client Key')).digest('base64');
  const serverKey = keyed('Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

/** Role → what the server stores of its password. */
export async function verifiersOf(to: Credentials): Promise<ReadonlyMap<string, string>> {
  const logins: Login[] = [to, ...Object.values(to.endpoints)];
  return new Map(
    await Promise.all(
      logins.map(async ({ username, password }) => [username, await scramVerifier(password)] as const),
    ),
  );
}
