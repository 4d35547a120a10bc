import type { Duplex } from 'node:stream';
import type { Client } from 'pg';
import { listener } from './copy-rows.ts';

/** So many are held before the server has to wait: a round of taking and handing on costs more than its bytes. */
const heldBytesMax = 256 * 1024;

/** The rows of `copy … to stdout`, as fast as whoever reads them takes them. */
export async function* copyOut(client: Client, text: string): AsyncGenerator<Buffer> {
  const held = gather();
  let stream: Duplex | undefined;
  let isEnded = false;
  let wake: () => void = () => {};
  const ended = new Promise<void>((resolve, reject) => {
    const onRow = (row: Buffer, connection: { readonly stream: Duplex }) => {
      stream = connection.stream;
      held.add(row);
      if (held.size() >= heldBytesMax) stream.pause();
      wake();
    };
    client.query(listener({ text, resolve, reject, onRow }));
  }).finally(() => {
    isEnded = true;
    // The end may come in the same packet as what paused it, and the next statement needs answers.
    stream?.resume();
    wake();
  });
  ended.catch(() => {});
  for (;;) {
    if (held.size() > 0) yield held.take();
    else if (isEnded) return await ended;
    else {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      stream?.resume();
      await woken;
    }
  }
}

/** Copies at once: pg shows each row in memory that the next one may be written to. */
function gather() {
  let bytes = Buffer.allocUnsafe(heldBytesMax);
  let size = 0;
  return {
    size: () => size,
    add(row: Buffer): void {
      if (size + row.length > bytes.length) {
        const larger = Buffer.allocUnsafe(Math.max(bytes.length * 2, size + row.length));
        bytes.copy(larger, 0, 0, size);
        bytes = larger;
      }
      row.copy(bytes, size);
      size += row.length;
    },
    take(): Buffer {
      const taken = bytes.subarray(0, size);
      bytes = Buffer.allocUnsafe(heldBytesMax);
      size = 0;
      return taken;
    },
  };
}
