import { createHmac } from 'node:crypto';
import type { TextRule } from '@bough/manifest/sanitize-policy';
import {
  cities,
  combined,
  companies,
  firstNames,
  lastNames,
  maskedBankCode,
  maskedCardPrefix,
  maskedIbanPrefix,
  reservedDomain,
} from '../mask-functions.ts';

/** What a text is masked as. The same value under the same key becomes the same here as in PostgreSQL (a test compares). */
export interface TextMask {
  readonly rule: TextRule;
  readonly domain: string;
  readonly key: Buffer;
  /** 64 bits of the digest at least are in the result. */
  readonly unique: boolean;
  readonly maxLength: number | null;
}

const lorem = 'lorem ipsum dolor sit amet ';

/** `value` as it stands; `same` what it is compared by: equal ones become equal. */
export function maskText(mask: TextMask, value: string, same = value): string {
  const { unique } = mask;
  const hex = (part = '') => mac(mask.key, `${mask.domain}${part}`, same).toString('hex');
  const digits = () => digitsOf(hex());
  const number = (text: string) => Number.parseInt(text, 16);
  const pick = (words: string) => {
    const list = words.split(',');
    return list[number(hex().slice(0, 2)) % list.length] ?? '';
  };
  const drawn = (list: readonly string[] = []) => list[number(hex().slice(0, 7)) % list.length] ?? '';
  const tagged = (text: string) => (unique ? `${text} ${hex().slice(0, 16)}` : text);
  const cut = (text: string) => firstCharacters(text, mask.maxLength ?? Number.POSITIVE_INFINITY);
  switch (mask.rule) {
    case 'email':
      return `u${hex().slice(0, 16)}@${reservedDomain}`;
    case 'name':
      return cut(tagged(drawn(combined.bough_names)));
    case 'first-name':
      return cut(tagged(pick(firstNames)));
    case 'last-name':
      return cut(tagged(pick(lastNames)));
    case 'city':
      return cut(tagged(pick(cities)));
    case 'company':
      return cut(tagged(`${pick(companies)} Ltd`));
    case 'address':
      return cut(tagged(drawn(combined.bough_addresses)));
    case 'phone':
      return unique ? `+999${digits().slice(0, 20)}` : shape(digits(), value);
    case 'postcode':
      return unique ? hex().slice(0, 16) : shape(digits(), value);
    case 'ip':
      if (unique || value.includes(':')) return `2001:db8:${groups(hex().slice(0, 24))}`;
      return `198.18.${number(hex().slice(0, 2))}.${number(hex(' host').slice(0, 2))}`;
    case 'iban':
      return unique
        ? iban('LC', `${maskedIbanPrefix}${digits().slice(0, 24)}`)
        : iban('DE', `${maskedBankCode}${digits().slice(0, 10)}`);
    case 'card':
      return luhn(`${maskedCardPrefix}${digits().slice(0, 9)}`);
    case 'free-text': {
      const length = [...value].length;
      const filler = (count: number) => lorem.repeat(1 + Math.floor(length / lorem.length)).slice(0, count);
      return cut(unique ? `${hex().slice(0, 16)} ${filler(Math.max(length - 17, 0))}` : filler(length));
    }
    case 'token':
      return cut(hex());
    case 'hash':
      return cut(hex().slice(0, 32));
    case 'uuid':
      return uuid(hex());
  }
}

/** What every mask is drawn from. */
export function mac(key: Buffer, domain: string, value: string): Buffer {
  return createHmac('sha256', key).update(`${domain}\u001f${value}`).digest();
}

/** Never half a character. */
function firstCharacters(text: string, count: number): string {
  return text.length <= count ? text : [...text].slice(0, count).join('');
}

function digitsOf(hex: string): string {
  return hex.replace(/[a-f]/g, (letter) => String(letter.charCodeAt(0) - 97));
}

/** Digits stay digits and letters letters of their case; the rest stays. */
function shape(digits: string, value: string): string {
  if (/^[0-9+() ./-]{1,40}$/.test(value)) {
    let used = 0;
    return value.replace(/[0-9]/g, () => {
      used += 1;
      return digits[used - 1] ?? '';
    });
  }
  return [...value]
    .map((character, index) => {
      const at = index % 60;
      const letter = (first: number) => String.fromCharCode(first + (Number(digits.slice(at, at + 2)) % 26));
      if (/[0-9]/.test(character)) return digits[at];
      if (/[a-z]/.test(character)) return letter(97);
      if (/[A-Z]/.test(character)) return letter(65);
      return /\p{L}/u.test(character) ? 'x' : character;
    })
    .join('');
}

function groups(hex: string): string {
  return hex.replace(/(....)(?!$)/g, '$1:');
}

function uuid(hex: string): string {
  const fixed = `${hex.slice(0, 12)}4${hex.slice(13, 16)}8${hex.slice(17, 32)}`;
  return fixed.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function iban(country: string, account: string): string {
  const letters = (text: string) => text.replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55));
  const check = 98n - (BigInt(letters(`${account}${country}00`)) % 97n);
  return `${country}${String(check).padStart(2, '0')}${account}`;
}

function luhn(digits: string): string {
  let total = 0;
  for (let index = 0; index < digits.length; index += 1) {
    const digit = Number(digits[digits.length - 1 - index]);
    const doubled = index % 2 === 0 ? digit * 2 : digit;
    total += doubled > 9 ? doubled - 9 : doubled;
  }
  return `${digits}${(10 - (total % 10)) % 10}`;
}
