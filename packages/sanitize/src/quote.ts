import { escapeIdentifier, escapeLiteral } from 'pg';

export const id = escapeIdentifier;
export const literal = escapeLiteral;

export function qualified(table: { schema: string; name: string }): string {
  return `${id(table.schema)}.${id(table.name)}`;
}
