import { maskedBankCode, maskedCardPrefix, maskedIbanPrefix } from './mask-functions.ts';

/** Digits that are a card's by every rule that cards follow, and not one of ours. */
export function isCardNumber(text: string): boolean {
  const digits = text.replace(/[^0-9]/g, '');
  const isIssued =
    /^4(\d{12}|\d{15})$/.test(digits) ||
    /^(5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12})$/.test(digits) ||
    /^3[47]\d{13}$/.test(digits) ||
    /^6(011|5\d\d)\d{12}$/.test(digits);
  return isIssued && !digits.startsWith(maskedCardPrefix) && luhnHolds(digits);
}

function luhnHolds(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index += 1) {
    const digit = Number(digits[digits.length - 1 - index]);
    const doubled = index % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** mod 97 = 1, and neither of the two forms that we write. */
export function isIban(text: string): boolean {
  const compact = text.replace(/[^A-Za-z0-9]/g, '').toUpperCase();
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(compact)) return false;
  const isOurs =
    (compact.startsWith('DE') && compact.slice(4).startsWith(maskedBankCode)) ||
    (compact.startsWith('LC') && compact.slice(4).startsWith(maskedIbanPrefix));
  return !isOurs && ibanRemainder(compact) === 1;
}

function ibanRemainder(iban: string): number {
  const moved = iban.slice(4) + iban.slice(0, 4);
  let remainder = 0;
  for (const character of moved) {
    const value = Number.parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder;
}

const address = '[[:alnum:]._%+-]+@([[:alnum:]-]+\\.)+[[:alpha:]]{2,}';
const reserved = ['example\\.(test|com|org|net)', '([[:alnum:]-]+\\.)*(test|invalid|example|localhost)'];

/** Without one of these there is no key: cheaper to ask than the expression. */
const keyParts = ['_live_', 'AKIA', 'gh_\\_', 'glpat-', 'xox_-', 'PRIVATE KEY', 'eyJ'];

/** Conditions over a text `v`, cheap ones first. They say what may be one; cards and IBANs are checked by their digits. */
export const conditions = {
  email: (v: string) =>
    `${v} like '%@%' and ${v} !~ '^u[0-9a-f]{16}@example[.]test$' and regexp_replace(${v}, '[[:alnum:]._%+-]+@(${reserved.join('|')})(?![[:alnum:].-]*[[:alnum:]])', '', 'gi') ~ '${address}'`,
  phone: (v: string) => `${v} like '%+%' and ${v} ~ '(^|[^[:alnum:]+])[+][1-9][0-9]([ ()./-]{0,2}[0-9]){6,}'`,
  key: (v: string) =>
    `octet_length(${v}) > 12 and (${keyParts.map((part) => `${v} like '%${part}%'`).join(' or ')}) and ${v} ~ '(sk|pk|rk)_live_[A-Za-z0-9]{8}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30}|glpat-[A-Za-z0-9_-]{16}|xox[abprs]-[A-Za-z0-9-]{10}|-----BEGIN [A-Z ]*PRIVATE KEY|eyJ[A-Za-z0-9_-]{8,}[.]eyJ[A-Za-z0-9_-]{8,}[.]'`,
  card: (v: string) => `octet_length(${v}) > 12 and ${v} ~ '${candidates.card}'`,
  iban: (v: string) => `octet_length(${v}) > 14 and ${v} ~ '${candidates.iban}'`,
} as const;

export const candidates = {
  card: '(^|[^[:alnum:].])([3-6][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,4}|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5})($|[^[:alnum:].])',
  iban: '(^|[^[:alnum:]])[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){2,7}( ?[A-Z0-9]{1,4})?($|[^[:alnum:]])',
} as const;
