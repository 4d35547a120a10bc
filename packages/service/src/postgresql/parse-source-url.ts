import { BoughError } from '@bough/domain/bough-error';
import { hostOf, readSourceUrl } from '../source-url.ts';

export interface SourceLogin {
  /** For pg_dump: never on its command line. */
  readonly env: Readonly<Record<string, string>>;
  readonly secret: string;
  readonly host: string;
}

/** libpq's. */
const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];
/** The first libpq that can be told to trust whom the machine trusts. */
const systemRootsMajor = 16;

export function parseSourceUrl(text: string, service: string): SourceLogin {
  const malformed = new BoughError({
    code: 'source-malformed',
    message: `The secret with the source of "${service}" is no connection string.`,
    hint: 'It must read postgresql://user:password@host:5432/database, with ?sslmode=require where the server wants it. A % in the password is written %25.',
  });
  const read = readSourceUrl(text, /^postgres(ql)?:$/);
  if (read === undefined) throw malformed;
  const { url, ...parts } = read;
  // No variable of a process can hold it.
  if (Object.values(parts).some((part) => part.includes('\0'))) throw malformed;
  return {
    secret: parts.password,
    host: url.hostname,
    env: {
      PGHOST: hostOf(url),
      PGPORT: url.port === '' ? '5432' : url.port,
      PGUSER: parts.user,
      PGPASSWORD: parts.password,
      PGDATABASE: parts.database,
      PGSSLMODE: modeOf(url.searchParams, service),
      PGCONNECT_TIMEOUT: '15',
      PGAPPNAME: 'bough',
      PATH: '/usr/bin:/bin',
    },
  };
}

/** A word for encryption that is passed over would mean a password and rows in the open: `?ssl=true` is no word of libpq. */
function modeOf(parameters: URLSearchParams, service: string): string {
  const [mode = 'prefer', ...others] = parameters.getAll('sslmode');
  const isKnown = modes.includes(mode) && others.length === 0;
  if (isKnown && [...parameters.keys()].every((key) => key === 'sslmode' || !/^ssl/i.test(key))) return mode;
  throw new BoughError({
    code: 'source-malformed',
    message: `The secret with the source of "${service}" says something else of encryption than ?sslmode= and a mode.`,
    hint: `The modes are ${modes.join(', ')}; no other parameter that begins with "ssl" is known. Set the secret anew: bough secret set.`,
  });
}

/** How new a dump tool must be for what is asked of the connection. */
export function toolsMajorFor({ env }: SourceLogin): number {
  return isVerified(env.PGSSLMODE) ? systemRootsMajor : 0;
}

const isVerified = (mode = ''): boolean => mode.startsWith('verify-');

/** What the dump tool of that version is to check the server's certificate against: else it looks for a file of its own. */
export function withRoots(login: SourceLogin, toolsMajor: number, service: string): SourceLogin {
  const { PGSSLMODE: mode = '' } = login.env;
  if (!isVerified(mode)) return login;
  if (toolsMajor < systemRootsMajor)
    throw new BoughError({
      code: 'source-malformed',
      message: `The source of "${service}" is to be read with sslmode=${mode}, and pg_dump ${toolsMajor} of this machine cannot check a certificate against the system's.`,
      hint: `Install a newer one: apt install postgresql-client-${systemRootsMajor}; or say sslmode=require, which encrypts but does not look at the certificate.`,
    });
  // With these roots libpq takes nothing less: anybody may have a certificate of theirs for another name.
  return { ...login, env: { ...login.env, PGSSLMODE: 'verify-full', PGSSLROOTCERT: 'system' } };
}
