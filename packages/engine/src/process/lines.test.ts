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

it('keeps the last lines', () => {
  const tail = new Tail(2);
  for (const line of ['a', 'b', 'c']) tail.push(line);
  expect(tail.lines()).toEqual(['b', 'c']);
});
