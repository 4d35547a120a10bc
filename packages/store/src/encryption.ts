import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { BoughError } from '@bough/domain/bough-error';
import { Secret } from '@bough/domain/secret';

/**
 * Secrets at rest: AES-256-GCM. The context (what the value belongs to) is authenticated with it, so that a row's
 * value cannot be passed off as another row's.
 */
export interface Encryption {
  encrypt(value: Secret, context: string): Buffer;
  /** BoughError `master-key-wrong` or `encrypted-value-damaged`. */
  decrypt(encrypted: Buffer, context: string): Secret;
}

/** Format byte, key id (4), nonce (12), ciphertext, tag (16). */
const formatVersion = 1;
const keyIdBytes = 4;
const nonceBytes = 12;
const tagBytes = 16;
const headerBytes = 1 + keyIdBytes + nonceBytes;

/**
 * Keys are 32 bytes, written as 64 hexadecimal digits or in base64. Values are written with `current` and read with
 * whichever key they name, so that a key can be replaced while old values are still there.
 */
export function createEncryption(keys: { current: Secret; former?: readonly Secret[] }): Encryption {
  const current = parseKey(keys.current);
  const known = [current, ...(keys.former ?? []).map(parseKey)];
  return {
    encrypt(value, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', current.bytes, nonce, { authTagLength: tagBytes });
      cipher.setAAD(Buffer.from(context));
      const header = Buffer.concat([Buffer.of(formatVersion), current.id, nonce]);
      const text = [cipher.update(value.reveal(), 'utf8'), cipher.final()];
      return Buffer.concat([header, ...text, cipher.getAuthTag()]);
    },
    decrypt(encrypted, context) {
      if (encrypted.length < headerBytes + tagBytes || encrypted[0] !== formatVersion) throw damaged(context);
      const id = encrypted.subarray(1, 1 + keyIdBytes);
      const key = known.find((candidate) => candidate.id.equals(id));
      if (!key) throw wrongKey(context, id, current.id);
      const nonce = encrypted.subarray(1 + keyIdBytes, headerBytes);
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, nonce, { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(encrypted.subarray(-tagBytes));
      try {
        const text = decipher.update(encrypted.subarray(headerBytes, -tagBytes));
        return new Secret(Buffer.concat([text, decipher.final()]).toString('utf8'));
      } catch (error) {
        throw damaged(context, error);
      }
    },
  };
}

interface Key {
  readonly id: Buffer;
  readonly bytes: Buffer;
}

function parseKey(secret: Secret): Key {
  const text = secret.reveal().trim();
  const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
  if (bytes.length !== 32) {
    throw new BoughError({
      code: 'master-key-malformed',
      message: 'BOUGH_MASTER_KEY is not a key of 32 bytes.',
      hint: 'Give 64 hexadecimal digits, for example the output of `openssl rand -hex 32`.',
    });
  }
  const id = createHash('sha256').update('bough key id').update(bytes).digest().subarray(0, keyIdBytes);
  return { id, bytes };
}

function wrongKey(context: string, wanted: Buffer, current: Buffer): BoughError {
  const [theirs, ours] = [wanted.toString('hex'), current.toString('hex')];
  return new BoughError({
    code: 'master-key-wrong',
    message: `The secret "${context}" was encrypted with another master key (id ${theirs}; this one is ${ours}).`,
    hint: 'Start Bough with the BOUGH_MASTER_KEY (or the BOUGH_HOME) that the database belongs to, or set the secret anew.',
  });
}

function damaged(context: string, cause?: unknown): BoughError {
  return new BoughError({
    code: 'encrypted-value-damaged',
    message: `The encrypted value of "${context}" is damaged or was moved from another row.`,
    hint: 'Set it anew, or restore the database from a backup.',
    cause,
  });
}
