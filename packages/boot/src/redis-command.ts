import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

const timeoutMs = 5_000;
/** `INFO` is the longest answer that is asked for here. */
const maxReplyBytes = 256 * 1024;

/**
 * Sends one command and returns its reply, if that is a status, a number or a bulk string. Enough to ask a server
 * whether it is there and which one it is; the queue has a real client.
 */
export async function redisCommand(url: string, command: readonly string[]): Promise<string> {
  const target = new URL(url);
  const socket = open(target);
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer from ${target.host} within 5 s`)));
  const commands = [...authentication(target), ...selection(target), command];
  try {
    return await converse(socket, commands);
  } finally {
    socket.destroy();
  }
}

function open(target: URL): Socket {
  const address = { host: target.hostname.replace(/^\[|\]$/g, ''), port: Number(target.port || 6379) };
  return target.protocol === 'rediss:'
    ? connectTls({ ...address, servername: target.hostname })
    : connectTcp(address);
}

function authentication(target: URL): string[][] {
  if (target.password === '') return [];
  const user = target.username === '' ? [] : [decodeURIComponent(target.username)];
  return [['AUTH', ...user, decodeURIComponent(target.password)]];
}

/** `redis://host:6379/3` means the database 3. */
function selection(target: URL): string[][] {
  const database = target.pathname.slice(1);
  return /^\d+$/.test(database) ? [['SELECT', database]] : [];
}

function converse(socket: Socket, commands: readonly (readonly string[])[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    let answered = 0;
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed')));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length > maxReplyBytes) reject(new Error('the answer is too long'));
      for (let reply = takeReply(received); reply; reply = takeReply(received)) {
        received = received.subarray(reply.length);
        answered += 1;
        if (reply.error !== undefined) reject(new Error(reply.error));
        if (answered === commands.length) resolve(reply.text);
      }
    });
    socket.write(commands.map(encode).join(''));
  });
}

function encode(command: readonly string[]): string {
  const words = command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${command.length}\r\n${words.join('')}`;
}

function takeReply(bytes: Buffer): { text: string; length: number; error?: string } | undefined {
  const end = bytes.indexOf('\r\n');
  if (end < 0) return undefined;
  const line = bytes.toString('utf8', 1, end);
  if (bytes[0] === 0x2d) return { text: '', length: end + 2, error: line };
  if (bytes[0] !== 0x24) return { text: line, length: end + 2 };
  const size = Number(line);
  if (size < 0) return { text: '', length: end + 2 };
  const length = end + 2 + size + 2;
  return bytes.length < length
    ? undefined
    : { text: bytes.toString('utf8', end + 2, end + 2 + size), length };
}

/** The version that the server reports, of Redis or of Valkey. */
export async function redisVersion(url: string): Promise<string> {
  const info = await redisCommand(url, ['INFO', 'server']);
  const version = /^(?:valkey|redis)_version:(\S+)/m;
  return /^valkey_version:(\S+)/m.exec(info)?.[1] ?? version.exec(info)?.[1] ?? 'unknown';
}
