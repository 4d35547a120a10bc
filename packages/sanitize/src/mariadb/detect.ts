import type { Detector } from '@bough/manifest/sanitize-policy';
import { isCardNumber, isIban } from '../detectors.ts';

/** Local parts end at 64 characters, so that a long text costs its length and not the square of it. */
const local = '[\\p{L}\\p{N}._%+-]{1,64}';
const reserved = new RegExp(
  `${local}@(?:example\\.(?:test|com|org|net)|(?:[\\p{L}\\p{N}-]{1,63}\\.){0,9}(?:test|invalid|example|localhost))(?![\\p{L}\\p{N}.-]{0,253}[\\p{L}\\p{N}])`,
  'giu',
);
const address = new RegExp(`${local}@(?:[\\p{L}\\p{N}-]{1,63}\\.){1,9}\\p{L}{2,}`, 'u');
const phone = /(?:^|[^\p{L}\p{N}+])\+[1-9][0-9](?:[ ()./-]{0,2}[0-9]){6,}/u;
const key =
  /(?:sk|pk|rk)_live_[A-Za-z0-9]{8}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30}|glpat-[A-Za-z0-9_-]{16}|xox[abprs]-[A-Za-z0-9-]{10}|-----BEGIN [A-Z ]{0,40}PRIVATE KEY|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\./;
const card =
  /(?<![\p{L}\p{N}.])(?:[3-6][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,4}|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5})(?![\p{L}\p{N}.])/u;
const iban = /(?<![\p{L}\p{N}])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![\p{L}\p{N}])/u;

/** Shorter than any of what is looked for. */
const lengthMin = 6;

/** What a text looks like it holds. The same shapes as PostgreSQL's verifier looks for, in this language. */
export function detect(text: string): { kind: Detector; certain: boolean }[] {
  if (text.length < lengthMin) return [];
  const found: { kind: Detector; certain: boolean }[] = [];
  if (text.includes('@') && address.test(text.replace(reserved, '')))
    found.push({ kind: 'email', certain: true });
  if (text.includes('+') && phone.test(text)) found.push({ kind: 'phone', certain: true });
  if (text.length >= 16 && key.test(text)) found.push({ kind: 'key', certain: true });
  const number = card.exec(text)?.[0];
  if (number !== undefined) found.push({ kind: 'card', certain: isCardNumber(number) });
  const account = iban.exec(text)?.[0];
  if (account !== undefined) found.push({ kind: 'iban', certain: isIban(account) });
  return found;
}
