/** A name, as MariaDB quotes it. */
export function id(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** Nothing in it that a server reads as anything but itself. */
const plain = /^[A-Za-z0-9 @._+:/-]*$/;

/** A string, right in every sql_mode and character set: as it is where it is plain, else by its bytes. */
export function literal(text: string | Buffer): string {
  const ascii = typeof text === 'string' ? text : text.toString('latin1');
  if (plain.test(ascii)) return `'${ascii}'`;
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  return `_utf8mb4 0x${bytes.toString('hex')}`;
}

export function qualified(table: { database: string; name: string }): string {
  return `${id(table.database)}.${id(table.name)}`;
}
