import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '@bough/domain/secret';
import type { Login } from '../endpoint-login.ts';
import type { Credentials } from '../service.ts';
import { superuser } from './configuration.ts';

/** Drivers of apps refuse fewer (RFC 5802 §5.1). */
const appIterations = 4096;
/**
 * For the role that only Bough uses. Iterations slow down whoever guesses a password that people made up; ours has 192
 * random bits. Each login pays for them, and so does the server whenever a password is set: it tries the empty one.
 */
const ownIterations = 16;

/**
 * What PostgreSQL stores instead of a password (RFC 5802). Made here, so that the password itself never is part of a
 * statement, which a server may log. Our passwords are plain ASCII, so they need no SASLprep.
 */
async function scramVerifier(password: Secret, iterations: number): Promise<string> {
  const salt = randomBytes(16);
  const salted = await promisify(pbkdf2)(password.reveal(), salt, iterations, 32, 'sha256');
  const keyed = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(keyed('Client Key')).digest('base64');
  const serverKey = keyed('Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

/** Role → what the server stores of its password. */
export async function verifiersOf(to: Credentials): Promise<ReadonlyMap<string, string>> {
  const verifier = async ({ username, password }: Login) =>
    [
      username,
      await scramVerifier(password, username === superuser ? ownIterations : appIterations),
    ] as const;
  return new Map(await Promise.all([to, ...Object.values(to.endpoints)].map(verifier)));
}
