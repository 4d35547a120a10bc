import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is cut into several: nobody may make us hold more. */
export const lineLengthMax = 16 * 1024;

/** Cuts a stream of bytes into lines. */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#emit(line);
    while (this.#rest.length > lineLengthMax) {
      this.#onLine(this.#rest.slice(0, lineLengthMax));
      this.#rest = this.#rest.slice(lineLengthMax);
    }
  }

  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    if (rest !== '') this.#emit(rest);
  }

  #emit(line: string): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    for (let at = 0; at === 0 || at < text.length; at += lineLengthMax)
      this.#onLine(text.slice(at, at + lineLengthMax));
  }
}

/** The last lines, and no more memory than that. */
export class Tail {
  readonly #lines: string[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  push(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > this.#count) this.#lines.shift();
  }

  lines(): string[] {
    return [...this.#lines];
  }
}
