import { InvalidArgumentError } from 'commander';

/** Of an option: a whole number, as text. How large it may be is the server's to say. */
export function count(text: string): string {
  if (/^\d{1,9}$/.test(text)) return text;
  throw new InvalidArgumentError('Write a whole number.');
}
