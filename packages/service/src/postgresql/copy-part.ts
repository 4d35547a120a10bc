import { BoughError } from '@bough/domain/bough-error';
import type { Client } from 'pg';
import { metered, type ReadMeter } from '../read-meter.ts';
import { copyOut } from './copy-out.ts';
import { copyIn } from './copy-rows.ts';
import { errorWords } from './error-words.ts';
import type { TablePart } from './large-tables.ts';

export interface PartCopy {
  readonly source: Client;
  readonly target: Client;
  readonly meter: ReadMeter;
  readonly signal: AbortSignal;
  /** What is said of an error of the source's. */
  readonly explain: (error: unknown) => BoughError;
}

/** The rows of a part, from COPY to COPY as text: the target may be of another major than the source. */
export async function copyPart({ name, columns, where }: TablePart, of: PartCopy): Promise<void> {
  const rows = copyOut(of.source, `copy (select ${columns} from only ${name} where ${where}) to stdout`);
  const known = explained(rows, of.explain);
  await copyIn(of.target, `copy ${name} (${columns}) from stdin`, metered(known, of.meter, of.signal)).catch(
    (error: unknown) => {
      of.signal.throwIfAborted();
      throw error instanceof BoughError ? error : notWritten(error, name);
    },
  );
}

/** Which of the two servers said no is not seen in what it said. */
async function* explained(
  rows: AsyncIterable<Buffer>,
  explain: (error: unknown) => BoughError,
): AsyncGenerator<Buffer> {
  try {
    yield* rows;
  } catch (error) {
    throw explain(error);
  }
}

function notWritten(error: unknown, table: string): BoughError {
  const { code, message, routine } = (error ?? {}) as Readonly<Record<string, unknown>>;
  const isSaid = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code);
  const words = isSaid
    ? `${errorWords({ code, message: String(message), routine })} (${code})`
    : 'the connection to the private server broke';
  return new BoughError({
    code: 'source-not-loaded',
    message: `The rows of ${table} could not be written: ${words}.`,
    hint: 'Extensions that the source uses are declared below `configuration: extensions:` of the service. With `connections: 1` below `data: source:` in the default branch all of it comes by pg_dump.',
    retryable: !isSaid,
    cause: error,
  });
}
