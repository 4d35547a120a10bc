import { expect, it } from 'vitest';
import { LineSplitter, lineLengthMax, Tail } from './lines.ts';

function split(...chunks: Buffer[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

it('joins what was cut between chunks, inside a character too', () => {
  const bytes = Buffer.from('one\ntwö\r\n\nlast');
  for (let at = 0; at <= bytes.length; at += 1) {
    expect(split(bytes.subarray(0, at), bytes.subarray(at))).toEqual(['one', 'twö', '', 'last']);
  }
});

it('cuts a line that is too long, with or without an end', () => {
  const long = Buffer.from(`${'x'.repeat(lineLengthMax * 2 + 5)}\nshort`);
  expect(split(long).map((line) => line.length)).toEqual([lineLengthMax, lineLengthMax, 5, 5]);
  expect(split(long.subarray(0, lineLengthMax + 1)).map((line) => line.length)).toEqual([lineLengthMax, 1]);
});

it('cleans a line before it cuts it, wherever chunks and cuts fall', () => {
  const secret = 'a-secret-that-is-split';
  const clean = (text: string) => text.replaceAll(secret, '[redacted]');
  for (const before of [lineLengthMax - 10, lineLengthMax * 2 - 3, lineLengthMax + 4_090]) {
    const bytes = Buffer.from(`${'x'.repeat(before)}${secret}${'y'.repeat(20_000)}`);
    for (const chunk of [1_000, 16_384, before + 5, bytes.length]) {
      const lines: string[] = [];
      const splitter = new LineSplitter((line) => lines.push(line), clean);
      for (let at = 0; at < bytes.length; at += chunk) splitter.push(bytes.subarray(at, at + chunk));
      splitter.end();
      expect(lines.join('')).toBe(clean(bytes.toString()));
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(lineLengthMax);
    }
  }
});

it('keeps the last lines', () => {
  const tail = new Tail(2);
  for (const line of ['a', 'b', 'c']) tail.push(line);
  expect(tail.lines()).toEqual(['b', 'c']);
});
