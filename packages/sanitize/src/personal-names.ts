import type { Column } from './catalogue.ts';

/** What a column's name says about its values: the rule that fits, in the manifest's words. First match wins. */
const hints: readonly { readonly name: RegExp; readonly looksLike: string; readonly rule: string }[] = [
  { name: /e_?mail/, looksLike: 'an e-mail address', rule: 'email' },
  { name: /(first|given)_?name|vorname|prenom/, looksLike: 'a first name', rule: 'first-name' },
  { name: /(last|family|sur)_?name|nachname/, looksLike: 'a last name', rule: 'last-name' },
  { name: /phone|mobile|(^|_)(tel|fax)($|_)/, looksLike: 'a phone number', rule: 'phone' },
  { name: /iban/, looksLike: 'a bank account', rule: 'iban' },
  { name: /(card|pan)_?(no|num|number)?$|credit_?card/, looksLike: 'a card number', rule: 'card' },
  { name: /(^|_)ip($|_)|ip_?addr/, looksLike: 'an IP address', rule: 'ip' },
  {
    name: /password|passwd|secret|token|api_?key|salt|session|cookie|otp/,
    looksLike: 'a secret',
    rule: 'token',
  },
  {
    name: /ssn|passport|tax_?(id|no)|national_?id|social_?sec|licen[cs]e_?(no|num)/,
    looksLike: 'an official number',
    rule: 'hash',
  },
  { name: /zip|post_?(al_?)?code|postcode|plz/, looksLike: 'a postcode', rule: 'postcode' },
  { name: /city|town/, looksLike: 'a place', rule: 'city' },
  { name: /address|street|addr/, looksLike: 'an address', rule: 'address' },
  { name: /company|employer|organi[sz]ation/, looksLike: 'a company', rule: 'company' },
  { name: /birth|(^|_)dob($|_)/, looksLike: 'a date of birth', rule: '{ rule: date-shift, days: 30 }' },
  {
    name: /salary|income|(^|_)(lat|lng|lon|latitude|longitude)($|_)/,
    looksLike: 'a personal measure',
    rule: '"null"',
  },
  {
    name: /note|comment|message|body|description|bio|text|subject|content|remark|reason/,
    looksLike: 'free text',
    rule: 'free-text',
  },
  { name: /user_?name|login|nick|handle/, looksLike: 'a user name', rule: 'token' },
  { name: /name/, looksLike: 'a name', rule: 'name' },
];

/** Null when its name says nothing personal. */
export function personalHint(column: Column): { looksLike: string; rule: string } | null {
  const snake = column.name.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();
  const hint = hints.find(({ name }) => name.test(snake)) ?? null;
  return hint !== null && canHold(column.typeClass, hint.looksLike) ? hint : null;
}

/** `email_verified` is no e-mail address when it is true or false, and `message_sent_at` no message. */
function canHold(typeClass: Column['typeClass'], looksLike: string): boolean {
  switch (typeClass) {
    case 'boolean':
    case 'enum':
      return false;
    case 'time':
      return looksLike === 'a date of birth';
    case 'number':
      return [
        'a phone number',
        'a card number',
        'an official number',
        'a secret',
        'a postcode',
        'a personal measure',
      ].includes(looksLike);
    default:
      return true;
  }
}

/** The rule to paste for a column that nothing decides; a rule that its type can take. */
export function suggestRule(column: Column): string {
  const hint = personalHint(column);
  const keep = '{ keep: "say why" }';
  switch (column.typeClass) {
    case 'text':
      return hint === null || hint.rule.startsWith('{') || hint.rule.startsWith('"')
        ? 'free-text'
        : hint.rule;
    case 'network':
      return 'ip';
    case 'uuid':
      return column.inPrimaryKey ? keep : 'uuid';
    case 'json':
      return '{ json: { "path.of.a.leaf": email } }';
    case 'bytes':
      return 'hash';
    case 'time':
      return hint === null ? keep : '{ rule: date-shift, days: 30 }';
    case 'number':
    case 'boolean':
    case 'enum':
      return hint === null || column.notNull ? keep : '"null"';
    case 'hstore':
      return '{ hstore: { a-key: email } }';
    case 'composite':
      return column.row === undefined ? keep : suggestRow(column.row.attributes);
    case 'other':
      return column.notNull ? keep : '"null"';
  }
}

function suggestRow(attributes: readonly Column[]): string {
  const rules = attributes.map((attribute) => `${JSON.stringify(attribute.name)}: ${suggestRule(attribute)}`);
  return `{ row: { ${rules.join(', ')} } }`;
}
