import { inspect } from 'node:util';
import { secretForms } from './secret-forms.ts';

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

/**
 * Replaces each known secret in a text, in each form in which programs print one (`secretForms`), the longest first: one may hold
 * another. What a program takes apart or encrypts cannot be found.
 */
export function redact(text: string, secrets: Iterable<Secret>): string {
  const found = new Set<string>();
  for (const secret of secrets) for (const form of formsOf(secret)) if (text.includes(form)) found.add(form);
  return [...found]
    .sort((a, b) => b.length - a.length)
    .reduce((redacted, value) => redacted.replaceAll(value, '[redacted]'), text);
}

/** Every line of a log asks for them. */
const remembered = new WeakMap<Secret, readonly string[]>();

function formsOf(secret: Secret): readonly string[] {
  const forms = remembered.get(secret) ?? secretForms(secret.reveal());
  remembered.set(secret, forms);
  return forms;
}
