/** `customers`, `audit.events`, and `reports/customers` in another database than main: as `bough data` shows them. */
export function displayTable(database: string, table: { schema: string; name: string }): string {
  const prefix = database === 'main' ? '' : `${database}/`;
  return `${prefix}${table.schema === 'public' ? '' : `${table.schema}.`}${table.name}`;
}

/** A pattern without `database/` is for every database, one without `schema.` for the schema public. */
export function matchesName(
  pattern: string,
  database: string,
  table: { schema: string; name: string },
): boolean {
  const local =
    table.schema === 'public' ? [table.name, `public.${table.name}`] : [`${table.schema}.${table.name}`];
  const names = [...local, ...local.map((name) => `${database}/${name}`)];
  if (!pattern.includes('*')) return names.includes(pattern);
  const expression = new RegExp(`^${pattern.split('*').map(escapeRegExp).join('[^./]*')}$`);
  return names.some((name) => expression.test(name));
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
