import type { Detector } from '@bough/manifest/sanitize-policy';

/** What detectors look for, in the words of findings. */
export const shapeWords: Readonly<Record<Detector, string>> = {
  email: 'an e-mail address outside the reserved domains',
  phone: 'a phone number',
  key: 'a key or token of a known service',
  card: 'a card number, by its check digits',
  iban: 'a bank account (IBAN), by its check digits',
};
