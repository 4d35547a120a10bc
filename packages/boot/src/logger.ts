import { BoughError } from '@bough/domain/bough-error';
import { redact, type Secret } from '@bough/domain/secret';
import { type DestinationStream, type Logger, pino } from 'pino';

/** The part of pino's logger that is used where a package must not care which logger it is. */
export interface BootLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface LoggerOptions {
  readonly level?: string | undefined;
  /** Which process speaks: `server`, `worker`, `gateway`. */
  readonly name?: string | undefined;
  /** Values that must not appear in any line, whoever put them there. Asked at each line, so that it may grow. */
  readonly secrets?: (() => Iterable<Secret>) | undefined;
  readonly destination?: DestinationStream | undefined;
}

/** Fields that hold a credential by their name, in case a value never passed through `Secret`. */
const credentialFields = [
  'password',
  'token',
  'secret',
  'authorization',
  'cookie',
  'privateKey',
  'masterKey',
];
const redactedPaths = credentialFields.flatMap((field) => [
  field,
  `*.${field}`,
  `headers.${field}`,
  `req.headers.${field}`,
]);

/** One JSON object per line: a static message plus fields. A `Secret` prints as `[redacted]`, as do URL passwords. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const settings = {
    level: options.level ?? 'info',
    base: options.name === undefined ? {} : { name: options.name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError, error: describeError },
    redact: { paths: redactedPaths, censor: '[redacted]' },
    hooks: { streamWrite: (line: string) => redactLine(line, options.secrets?.() ?? []) },
  };
  return pino(settings, options.destination ?? standardOutput());
}

/** Whoever read it may be gone, a closed terminal say: that must not end what still has to be stopped. */
function standardOutput(): DestinationStream {
  return pino.destination(1).on('error', () => {});
}

/** `postgres://bough:…@host` without the password. Also used wherever a URL is shown to a person. */
export function redactUrls(text: string): string {
  return text.replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"']*):[^\s@/"']+@/gi, '$1:[redacted]@');
}

function redactLine(line: string, secrets: Iterable<Secret>): string {
  const known = [...secrets];
  // A value with quotes or line breaks (a PEM key) stands in JSON in its escaped form. That form as a whole goes first:
  // `redact` also takes a value's lines one by one, and would leave of it what is too short to be looked for.
  const escaped = known
    .map((secret) => JSON.stringify(secret.reveal()).slice(1, -1))
    .filter((text) => text.length >= 6)
    .sort((a, b) => b.length - a.length);
  const text = escaped.reduce((result, value) => result.replaceAll(value, '[redacted]'), redactUrls(line));
  return redact(text, known);
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const described = { type: error.name, message: error.message, stack: error.stack };
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) };
  if (!(error instanceof BoughError)) return { ...described, ...cause };
  return { ...described, code: error.code, hint: error.hint, tail: error.tail, ...cause };
}
