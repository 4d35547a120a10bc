/** A name, as MariaDB quotes it. */
export function id(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A string by its bytes: right in every sql_mode and character set. */
export function literal(text: string | Buffer): string {
  const hex = (typeof text === 'string' ? Buffer.from(text) : text).toString('hex');
  return hex === '' ? "''" : `_utf8mb4 0x${hex}`;
}

export function qualified(table: { database: string; name: string }): string {
  return `${id(table.database)}.${id(table.name)}`;
}
