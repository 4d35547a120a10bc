import { type PublishedOperation, problemsOf, publishedSchema } from './published-schema.ts';

export interface Call {
  method: string;
  /** Below the API's base: `/repos/acme/shop/pulls`. Segments may be percent-encoded. */
  path: string;
  query?: Record<string, unknown> | undefined;
  body?: unknown;
}

/** `ignored` names the fields that GitHub would drop without a word: legal, but nearly always a misspelling. */
export type ValidatedCall =
  | { operationId: string; ignored: string[]; problems?: undefined }
  | { operationId?: string; problems: string[] };

interface Route {
  operation: PublishedOperation;
  pattern: RegExp;
  names: string[];
}

// These parameters may hold slashes that clients leave unencoded; all others are one segment.
const MULTI_SEGMENT = new Set(['ref', 'path', 'branch', 'basehead']);

const routes: Route[] = publishedSchema.operations.map(routeOf).sort(mostLiteralFirst);

function routeOf(operation: PublishedOperation): Route {
  const names: string[] = [];
  const source = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    names.push(name);
    return MULTI_SEGMENT.has(name) ? '(.+)' : '([^/]+)';
  });
  return { operation, pattern: new RegExp(`^${source}$`), names };
}

// `/commits/{ref}/status` must win over `/commits/{ref}`.
function mostLiteralFirst(a: Route, b: Route): number {
  const literals = (route: Route) =>
    route.operation.path.split('/').filter((part) => !part.startsWith('{')).length;
  return literals(b) - literals(a);
}

/**
 * Checks one call against what GitHub publishes about the operation: the route exists, path and query parameters and
 * the body have the published types, required fields are there, enumerations hold.
 */
export function validateCall(call: Call): ValidatedCall {
  const path = call.path.replace(/^\/repositories\/\d+(?=\/|$)/, '/repos/id/id');
  const method = call.method.toUpperCase();
  for (const route of routes) {
    if (route.operation.method !== method) continue;
    const match = route.pattern.exec(path);
    if (match) return validateOperation(route, match, call);
  }
  return { problems: [`${method} ${call.path} is not among the operations in operations.json`] };
}

function validateOperation(route: Route, match: RegExpExecArray, call: Call): ValidatedCall {
  const { operation } = route;
  const inPath = Object.fromEntries(route.names.map((name, index) => [name, decode(match[index + 1] ?? '')]));
  const query = call.query ?? {};
  const problems = [
    ...parameterProblems(operation, 'path', inPath),
    ...parameterProblems(operation, 'query', query),
    ...bodyProblems(operation, call.body),
  ];
  if (problems.length > 0) return { operationId: operation.operationId, problems };
  return { operationId: operation.operationId, ignored: ignoredFields(operation, query, call.body) };
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function parameterProblems(
  operation: PublishedOperation,
  place: 'path' | 'query',
  values: Record<string, unknown>,
): string[] {
  return operation.parameters
    .filter((parameter) => parameter.in === place)
    .flatMap((parameter) => {
      const value = values[parameter.name];
      if (value === undefined) return parameter.required ? [`${place}.${parameter.name}: is required`] : [];
      return problemsOf(parameter.schema, value, { text: true, at: `${place}.${parameter.name}` });
    });
}

function bodyProblems(operation: PublishedOperation, body: unknown): string[] {
  if (!operation.requestBody) return [];
  if (body === undefined || body === null) {
    return operation.requestBody.required ? ['body: is required'] : [];
  }
  return problemsOf(operation.requestBody.schema, body);
}

function ignoredFields(
  operation: PublishedOperation,
  query: Record<string, unknown>,
  body: unknown,
): string[] {
  const knownQuery = new Set(operation.parameters.filter((p) => p.in === 'query').map((p) => p.name));
  const ignored = Object.keys(query).filter((name) => !knownQuery.has(name));
  if (body === null || typeof body !== 'object' || Array.isArray(body)) return ignored;
  const knownBody = operation.requestBody ? knownFields(operation.requestBody.schema) : new Set<string>();
  if (knownBody === 'any') return ignored;
  return [...ignored, ...Object.keys(body).filter((name) => !knownBody.has(name))];
}

function knownFields(schema: object): Set<string> | 'any' {
  const { properties, oneOf, anyOf, allOf, $ref, additionalProperties } = schema as {
    properties?: object;
    oneOf?: object[];
    anyOf?: object[];
    allOf?: object[];
    $ref?: string;
    additionalProperties?: unknown;
  };
  if ($ref) return knownFields(publishedSchema.definitions[$ref.split('/').pop() ?? ''] ?? {});
  // GitHub writes `additionalProperties: true` in unions next to a full list of fields; only a bare one means "anything".
  if (!properties && additionalProperties !== undefined && additionalProperties !== false) return 'any';
  const known = new Set(Object.keys(properties ?? {}));
  for (const part of [...(oneOf ?? []), ...(anyOf ?? []), ...(allOf ?? [])]) {
    const fields = knownFields(part);
    if (fields === 'any') return 'any';
    for (const field of fields) known.add(field);
  }
  return known;
}
