/** A template tag that escapes what is put in, unless it is markup already. Arrays are joined. */
export function html(strings, ...values) {
  const text = strings.reduce((all, part, index) => all + markup(values[index - 1]) + part);
  return new Markup(text);
}

class Markup {
  constructor(text) {
    this.text = text;
  }
  toString() {
    return this.text;
  }
}

function markup(value) {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(markup).join('');
  if (value === undefined || value === null || value === false) return '';
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' });
const integers = new Intl.NumberFormat('en-GB');

export const money = (cents) => euros.format(cents / 100);
export const count = (number) => integers.format(number);
