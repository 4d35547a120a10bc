/** A name, as MariaDB quotes it. */
export function id(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A string, right in every sql_mode: by its bytes. */
export function literal(text: string): string {
  return text === '' ? "''" : `convert(0x${Buffer.from(text).toString('hex')} using utf8mb4)`;
}

/** The name of a schema in a grant, where `_` and `%` stand for others. */
export function grantedSchema(schema: string): string {
  return id(schema.replaceAll(/[_%\\]/g, (sign) => `\\${sign}`));
}

/** An account from anywhere: the server listens on loopback alone. Names are ours, or the server's own. */
export function account(user: string, host = '%'): string {
  return `'${quoted(user)}'@'${quoted(host)}'`;
}

function quoted(text: string): string {
  return text.replaceAll("'", "''").replaceAll('\\', '\\\\');
}
