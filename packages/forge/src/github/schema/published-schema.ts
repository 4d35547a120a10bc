import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import ajvFormats from 'ajv-formats';

export interface PublishedParameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  schema: object;
}

export interface PublishedOperation {
  method: string;
  path: string;
  operationId: string;
  parameters: PublishedParameter[];
  requestBody?: { required: boolean; schema: object };
  responses: { status: number; schema?: object }[];
}

export interface PublishedSchema {
  operations: PublishedOperation[];
  webhooks: { name: string; schema: object }[];
  definitions: Record<string, object>;
}

/** GitHub's description of itself; see README.md for where `operations.json` comes from. */
export const publishedSchema = JSON.parse(
  readFileSync(new URL('operations.json', import.meta.url), 'utf8'),
) as PublishedSchema;

const strict = buildAjv(false);
// Query strings and path parameters arrive as text, so `per_page=100` must count as an integer.
const coercing = buildAjv(true);

function buildAjv(coerceTypes: boolean): Ajv {
  const ajv = new Ajv({ strict: false, allErrors: true, coerceTypes });
  ajvFormats.default(ajv);
  // GitHub uses formats that are words for people; they constrain nothing.
  for (const format of ['timestamp', 'repo.nwo', 'ssh-key', 'uri-template']) ajv.addFormat(format, true);
  // GitHub's own default for an absent address is the empty string.
  ajv.addFormat('uri', (text: string) => text === '' || URL.canParse(text));
  ajv.addSchema({ $id: 'github', definitions: publishedSchema.definitions });
  return ajv;
}

// Compiling takes a few milliseconds per schema, and most processes need few of them.
const compiled = new Map<object, ValidateFunction>();

/** Problems of a value against one of the published schemas, each as `place: what is wrong`; at most 10. */
export function problemsOf(
  schema: object,
  value: unknown,
  options: { text?: boolean; at?: string } = {},
): string[] {
  let validate = compiled.get(schema);
  if (!validate) {
    const ajv = options.text ? coercing : strict;
    validate = ajv.compile(schema);
    compiled.set(schema, validate);
  }
  if (validate(value)) return [];
  const place = options.at ?? 'body';
  return (validate.errors ?? [])
    .slice(0, 10)
    .map(
      (error) => `${place}${error.instancePath}: ${error.message ?? error.keyword}${detail(error.params)}`,
    );
}

function detail(params: Record<string, unknown>): string {
  const allowed = params.allowedValues;
  return Array.isArray(allowed) ? ` (${allowed.map(String).join(', ')})` : '';
}
