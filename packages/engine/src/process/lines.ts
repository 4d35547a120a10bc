import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is cut into several: nobody may make us hold more. */
export const lineLengthMax = 16 * 1024;

/** What is kept back of a line that is cut: whatever `clean` looks for is found whole, if it is not longer than this. */
const overlap = 4 * 1024;

/** Cuts a stream of bytes into lines. `clean` sees each before it is cut to its greatest length. */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: string) => void;
  readonly #clean: (text: string) => string;
  #rest = '';

  constructor(onLine: (line: string) => void, clean = (text: string) => text) {
    this.#onLine = onLine;
    this.#clean = clean;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#emit(line);
    while (this.#rest.length > lineLengthMax + overlap) {
      this.#rest = this.#clean(this.#rest);
      if (this.#rest.length <= lineLengthMax + overlap) return;
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
    const text = this.#clean(line.endsWith('\r') ? line.slice(0, -1) : line);
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
