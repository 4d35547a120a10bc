import { inspect } from 'node:util';

/** A value that prints as `[redacted]` wherever it ends up: logs, JSON, templates, errors. Reading it is `reveal()`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return '[redacted]';
  }
}

/** Shorter values are left: replacing them would shred ordinary text. */
const VALUE_LENGTH_MIN = 6;
const LINE_LENGTH_MIN = 12;

/**
 * Replaces each known secret in a text, the longest first: one may hold another. Output is filtered line by line, so the
 * lines of a secret of several (a private key) are secrets too.
 */
export function redact(text: string, secrets: Iterable<Secret>): string {
  const hidden = new Set<string>();
  for (const secret of secrets) {
    const value = secret.reveal();
    if (value.length >= VALUE_LENGTH_MIN) hidden.add(value);
    if (!value.includes('\n')) continue;
    for (const line of value.split('\n')) {
      if (line.trim().length >= LINE_LENGTH_MIN) hidden.add(line.trim());
    }
  }
  return [...hidden]
    .sort((a, b) => b.length - a.length)
    .reduce((redacted, value) => redacted.replaceAll(value, '[redacted]'), text);
}
