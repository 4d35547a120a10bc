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

/** Replaces each known secret in a text. Values under 6 characters are left: replacing them would shred ordinary text. */
export function redact(text: string, secrets: Iterable<Secret>): string {
  let redacted = text;
  for (const secret of secrets) {
    const value = secret.reveal();
    if (value.length >= 6) redacted = redacted.replaceAll(value, '[redacted]');
  }
  return redacted;
}
