import { BoughError } from '@bough/domain/bough-error';
import { hostOf, readSourceUrl } from '../source-url.ts';

/** `preferred` takes TLS where the server has it. */
export type Encryption = 'off' | 'preferred' | 'on' | 'verified';

export interface SourceLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ssl: Encryption;
}

const encryptions: Readonly<Record<string, Encryption>> = {
  DISABLED: 'off',
  PREFERRED: 'preferred',
  REQUIRED: 'on',
  VERIFY_CA: 'verified',
  VERIFY_IDENTITY: 'verified',
};

export function parseSourceUrl(text: string, service: string): SourceLogin {
  const malformed = new BoughError({
    code: 'source-malformed',
    message: `The secret with the source of "${service}" is no connection string.`,
    hint: `It must read mysql://user:password@host:3306/database, and may end with ?ssl-mode= and one of ${Object.keys(encryptions).join(', ')}: no other parameter is known.`,
  });
  const read = readSourceUrl(text, /^(mysql|mariadb):$/);
  if (read === undefined) throw malformed;
  const { url, ...parts } = read;
  // A leading dash would be a flag of the dump tool.
  if (/^-|[\0\n]/.test(parts.database) || /[\0\n]/.test(parts.password)) throw malformed;
  const ssl = encryptionOf(url.searchParams);
  if (ssl === undefined) throw malformed;
  return { host: hostOf(url), port: url.port === '' ? 3306 : Number(url.port), ssl, ...parts };
}

/** A word that is passed over would mean a password and rows in the open: `?sslmode=require` is PostgreSQL's. */
function encryptionOf(parameters: URLSearchParams): Encryption | undefined {
  const [given, ...others] = parameters;
  if (given === undefined) return 'off';
  const [key, value] = given;
  if (key !== 'ssl-mode' || others.length > 0) return undefined;
  const mode = value.toUpperCase();
  return Object.hasOwn(encryptions, mode) ? encryptions[mode] : undefined;
}
