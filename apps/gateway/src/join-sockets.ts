import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

interface Side {
  readonly socket: Duplex;
  /** Bytes that came right behind the headers. */
  readonly head: Buffer;
}

/** For what is on its way to the side that has not ended. */
const lastWordsMs = 1_000;

/** Finishes a handshake and lets both sides talk until one of them closes or both are silent for `idleMs`. */
export function joinSockets(parts: {
  visitor: Side;
  app: Side;
  response: ServerResponse;
  incoming: IncomingMessage;
  fields: OutgoingHttpHeaders;
  idleMs: number;
}): void {
  const { visitor, app, response, incoming, fields, idleMs } = parts;
  if (visitor.socket instanceof Socket) response.detachSocket(visitor.socket);
  const closeBoth = () => {
    visitor.socket.destroy();
    app.socket.destroy();
  };
  for (const { socket } of [visitor, app]) {
    socket.on('error', closeBoth);
    socket.once('close', closeBoth);
    // Node leaves a connection half open when one side ends; a WebSocket has no use for that half.
    socket.once('end', () => setTimeout(closeBoth, lastWordsMs).unref());
    if (socket instanceof Socket) {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, 60_000);
      socket.setTimeout(idleMs, closeBoth);
    }
  }
  visitor.socket.write(switchingHead(incoming, fields), 'latin1');
  if (app.head.length > 0) visitor.socket.write(app.head);
  if (visitor.head.length > 0) app.socket.write(visitor.head);
  app.socket.pipe(visitor.socket).pipe(app.socket);
}

function switchingHead(incoming: IncomingMessage, fields: OutgoingHttpHeaders): string {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'connection: Upgrade',
    `upgrade: ${incoming.headers.upgrade ?? 'websocket'}`,
  ];
  for (const [name, value] of Object.entries(fields)) {
    for (const entry of Array.isArray(value) ? value : [value]) lines.push(`${name}: ${entry}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
