/** Shorter values are left: replacing them would shred ordinary text. */
const VALUE_LENGTH_MIN = 6;
/** Of a line of a secret, and of what a value is encoded as: pieces, which ordinary text meets sooner. */
const PIECE_LENGTH_MIN = 12;

/**
 * What a secret looks like in output. Output is filtered line by line, so the lines of a secret of several (a private key) are forms
 * of it; and so is what JSON, an address, a shell's `base64` or an `Authorization: Basic` header makes of it.
 */
export function secretForms(value: string): readonly string[] {
  const forms = new Set<string>();
  if (value.length >= VALUE_LENGTH_MIN) {
    forms.add(value);
    // What is escaped is at least as long.
    forms.add(JSON.stringify(value).slice(1, -1));
    for (const form of inAddresses(value)) forms.add(form);
    for (const form of inBase64(value)) if (form.length >= PIECE_LENGTH_MIN) forms.add(form);
    const hex = Buffer.from(value).toString('hex');
    if (hex.length >= PIECE_LENGTH_MIN) forms.add(hex).add(hex.toUpperCase());
  }
  for (const line of value.includes('\n') ? value.split('\n') : [])
    if (line.trim().length >= PIECE_LENGTH_MIN) forms.add(line.trim());
  return [...forms];
}

/** As a path or query has it, in capitals and small letters, and as a form has it. */
function inAddresses(value: string): readonly string[] {
  // By way of bytes, because half of a character above U+FFFF cannot be encoded.
  const encoded = encodeURIComponent(Buffer.from(value).toString('utf8'));
  const strict = encoded.replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  return [encoded, strict].flatMap((form) => [
    form,
    form.replace(/%[0-9A-F]{2}/g, (sign) => sign.toLowerCase()),
    form.replaceAll('%20', '+'),
  ]);
}

/**
 * Alone, and as a part of something longer: `user:password` begins at any of three places in a group of three bytes, and
 * the first and last letters then belong to the neighbours too.
 */
function inBase64(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  const parts = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const isWhole = (before + bytes.length) % 3 === 0;
    return text.slice([0, 2, 3][before], isWhole ? undefined : -1);
  });
  const whole = bytes.toString('base64');
  return [whole, whole.replace(/=+$/, ''), ...parts].flatMap((form) => [
    form,
    form.replaceAll('+', '-').replaceAll('/', '_'),
  ]);
}
