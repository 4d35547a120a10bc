import { BoughError } from '@bough/domain/bough-error';

export function refusedAt(line: number, what: string, hint: string): BoughError {
  return new BoughError({
    code: 'source-not-loaded',
    message: `The dump cannot be loaded: line ${line}: ${what}.`,
    hint,
  });
}

export function countNewlines(text: string, from: number, to: number): number {
  let count = 0;
  for (
    let found = text.indexOf('\n', from);
    found !== -1 && found < to;
    found = text.indexOf('\n', found + 1)
  )
    count += 1;
  return count;
}

/** A dump that says in its first lines what it is says in its last that it is whole: cut off between two statements it looks fine otherwise. */
export async function* watchEnds(
  bytes: AsyncIterable<Buffer>,
  { header, footer, tool }: { header: RegExp; footer: string; tool: string },
): AsyncGenerator<Buffer> {
  let head = '';
  let tail = '';
  for await (const chunk of bytes) {
    if (head.length < 1000) head += chunk.subarray(0, 1000).toString('latin1');
    tail = (tail + chunk.subarray(-500).toString('latin1')).slice(-500);
    yield chunk;
  }
  if (header.test(head) && !tail.includes(footer))
    throw new BoughError({
      code: 'source-not-loaded',
      message: `The dump is not whole: its last line, which ${tool} writes when it is done, is missing.`,
      hint: 'Copy the file again, or dump anew.',
    });
}
