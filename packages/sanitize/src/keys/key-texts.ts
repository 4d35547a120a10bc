import { gunzipSync, inflateSync } from 'node:zlib';
import type { KeyType } from '@bough/manifest/sanitize-policy';
import type { Argument } from './redis-session.ts';

/** What opens out of a small value may be large. */
const openedBytesMax = 16 * 1024 * 1024;

/** Reads all of a key, names of fields, scores and ids included. */
export function readCommand(name: Buffer, type: string): readonly Argument[] | undefined {
  return commands[type as KeyType]?.(name);
}

const commands: Readonly<Record<KeyType, (name: Buffer) => readonly Argument[]>> = {
  string: (name) => ['get', name],
  hash: (name) => ['hgetall', name],
  list: (name) => ['lrange', name, 0, -1],
  set: (name) => ['smembers', name],
  zset: (name) => ['zrange', name, 0, -1, 'withscores'],
  stream: (name) => ['xrange', name, '-', '+'],
};

/** As people would read it: what is packed as a whole is opened. */
export function openedText(value: Buffer): string {
  const isGzip = value[0] === 0x1f && value[1] === 0x8b;
  const isZlib = value[0] === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(value[1] ?? 0);
  if (!isGzip && !isZlib) return value.toString('utf8');
  try {
    const options = { maxOutputLength: openedBytesMax };
    return (isGzip ? gunzipSync(value, options) : inflateSync(value, options)).toString('utf8');
  } catch {
    // It only begins like that, or is too large: what it is, is looked at.
    return value.toString('utf8');
  }
}
