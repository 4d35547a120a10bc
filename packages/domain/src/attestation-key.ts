import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { BoughError } from './bough-error.ts';
import { Secret } from './secret.ts';

/** Ed25519: whoever has it can tell what this installation signed, and sign nothing. */
export interface PublicKey {
  /** The first 16 hex digits of SHA-256 over its DER form. */
  readonly id: string;
  readonly pem: string;
  isSignatureOf(text: string, signature: string): boolean;
}

export interface PrivateKey {
  readonly public: PublicKey;
  /** base64 */
  sign(text: string): string;
}

/** The keys of an installation. Former ones are there while a rotation that was cut short has not signed everything anew. */
export interface AttestationKeys {
  readonly current: PrivateKey;
  readonly former: readonly PublicKey[];
}

/** PKCS #8 in base64, on one line. */
export function newAttestationKey(): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  return privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
}

/** BoughError `attestation-key-malformed`; `where` says whose file to mend. */
function openPrivateKey(secret: Secret, where: string): PrivateKey {
  const key = readKey(secret, where);
  return {
    public: publicKeyOf(createPublicKey(key)),
    sign: (text) => sign(null, Buffer.from(text), key).toString('base64'),
  };
}

/** Throws when it is none of Ed25519. */
export function openPublicKey(pem: string): PublicKey {
  return publicKeyOf(createPublicKey(pem));
}

export function openAttestationKeys(
  current: Secret,
  former: readonly Secret[],
  where: string,
): AttestationKeys {
  return {
    current: openPrivateKey(current, where),
    former: former.map((secret) => openPrivateKey(secret, where).public),
  };
}

/** For stages without a home. */
export function temporaryAttestationKeys(): AttestationKeys {
  return openAttestationKeys(new Secret(newAttestationKey()), [], 'memory');
}

function publicKeyOf(key: KeyObject): PublicKey {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('The key is not an Ed25519 key.');
  const der = key.export({ format: 'der', type: 'spki' });
  return {
    id: createHash('sha256').update(der).digest('hex').slice(0, 16),
    pem: key.export({ format: 'pem', type: 'spki' }).toString(),
    isSignatureOf: (text, signature) => {
      const bytes = Buffer.from(signature, 'base64');
      return bytes.length === 64 && verify(null, Buffer.from(text), key, bytes);
    },
  };
}

function readKey(secret: Secret, where: string): KeyObject {
  try {
    const key = createPrivateKey({
      key: Buffer.from(secret.reveal(), 'base64'),
      format: 'der',
      type: 'pkcs8',
    });
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // What it holds must not be in the error.
  }
  throw new BoughError({
    code: 'attestation-key-malformed',
    message: `The attestation key in ${where} is not an Ed25519 key.`,
    hint: 'Restore it from your backup. Without it the goldens that it signed are captured anew: remove the file and start again.',
  });
}
