import type { Duplex } from 'node:stream';
import { type Cause, causes } from './cause.ts';

/** Answers bytes that never became a request. Null when there is nobody left to answer. */
export function refuseBytes(error: NodeJS.ErrnoException, socket: Duplex): Cause | null {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return null;
  }
  const cause = causeOf(error);
  const page = causes[cause];
  const body = `${page.title}: ${page.message()}\n${page.hint}\n`;
  const reason = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' }[
    page.status
  ];
  socket.end(
    `HTTP/1.1 ${page.status} ${reason}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nx-bough-cause: ${cause}\r\n\r\n${body}`,
  );
  return cause;
}

function causeOf(error: NodeJS.ErrnoException): 'headers-too-large' | 'client-timeout' | 'bad-request' {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'headers-too-large';
  return error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'client-timeout' : 'bad-request';
}
