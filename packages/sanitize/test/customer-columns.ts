/** Rules of the columns that a customer has on either server. */
export const customerColumns = {
  email: 'email',
  name: 'name',
  phone: 'phone',
  iban: 'iban',
  card: 'card',
  ip: 'ip',
  town: 'city',
  code: 'hash',
} as const;
