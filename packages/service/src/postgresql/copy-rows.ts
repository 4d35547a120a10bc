import type { Duplex } from 'node:stream';
import type { Client, Connection, Submittable } from 'pg';

/** What pg has for COPY and its types leave out. */
export interface CopyConnection {
  readonly stream: Duplex;
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
}

/** A statement whose rows nobody wants: whatever it returns is thrown away as it comes, not gathered. */
export function execute(client: Client, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(listener({ text, resolve, reject }));
  });
}

/** Feeds `copy … from stdin`. What the rows' source throws ends the statement and is thrown on. */
export async function copyIn(client: Client, text: string, rows: AsyncIterable<Buffer>): Promise<void> {
  let isOver = false;
  let wake: () => void = () => {};
  let ask: (connection: CopyConnection) => void = () => {};
  const asked = new Promise<CopyConnection>((resolve) => {
    ask = resolve;
  });
  const ended = new Promise<void>((resolve, reject) => {
    client.query(listener({ text, resolve, reject, onCopyIn: (connection) => ask(connection) }));
  });
  const over = ended.then(
    () => 'over' as const,
    () => 'over' as const,
  );
  void over.then(() => {
    isOver = true;
    wake();
  });
  const connection = await Promise.race([asked, over]);
  if (connection === 'over') return ended;
  try {
    for await (const chunk of rows) {
      // The server has said no: the rest is not sent, and its error says why.
      if (isOver) break;
      connection.sendCopyFromChunk(chunk);
      if (connection.stream.writableNeedDrain)
        await drained(connection.stream, (resume) => {
          wake = resume;
        });
    }
    if (!isOver) connection.endCopyFrom();
  } catch (error) {
    if (!isOver) connection.sendCopyFail('the rows ended early');
    await over;
    throw error;
  }
  return ended;
}

/** Or closed, or woken by whoever is given how. Nothing of it is left behind: a large table waits very often. */
function drained(stream: Duplex, give: (resume: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const resume = () => {
      stream.off('drain', resume).off('close', resume);
      resolve();
    };
    stream.on('drain', resume).on('close', resume);
    give(resume);
  });
}

interface Listening {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  readonly onCopyIn?: (connection: CopyConnection) => void;
  readonly onRow?: (row: Buffer, connection: CopyConnection) => void;
}

/** pg calls these of whatever is submitted to it, as it does of its own queries. */
export function listener({ text, resolve, reject, onCopyIn, onRow }: Listening): Submittable {
  const handlers = {
    submit: (connection: Connection) => connection.query(text),
    handleRowDescription() {},
    handleDataRow() {},
    handleCommandComplete() {},
    handleEmptyQuery() {},
    handlePortalSuspended() {},
    handleCopyInResponse(connection: CopyConnection) {
      if (onCopyIn === undefined) connection.sendCopyFail('there are no rows');
      else onCopyIn(connection);
    },
    handleCopyData(message: { chunk: Buffer }, connection: CopyConnection) {
      onRow?.(message.chunk, connection);
    },
    handleError: (error: Error) => reject(error),
    handleReadyForQuery: () => resolve(),
  };
  return handlers;
}
