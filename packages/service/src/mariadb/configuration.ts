import { BoughError } from '@bough/domain/bough-error';
import type { ConfigurationProblem, ServiceDeclaration } from '../service.ts';
import { isRecord, parseProperties, type Report } from './properties.ts';

export type Privilege = 'ro' | 'rw' | 'admin';

/** A declaration's `configuration` with every default written out (upsun-manifest.md §1.4). */
export interface MariadbConfiguration {
  readonly schemas: readonly string[];
  readonly endpoints: Readonly<Record<string, EndpointConfiguration>>;
  /** Flags for the server, from `properties`. */
  readonly flags: Readonly<Record<string, string>>;
}

export interface EndpointConfiguration {
  readonly defaultSchema: string;
  readonly privileges: Readonly<Record<string, Privilege>>;
}

export const defaultEndpoint = 'mysql';
/** The account that Bough itself uses. Apps never get it. */
export const superuser = 'bough';

const oldest = [10, 11] as const;
const knownKeys = ['schemas', 'endpoints', 'properties', 'rotate_passwords'];
const namePattern = /^[A-Za-z_][A-Za-z0-9_-]{0,55}$/;
const reservedNames = new Set([
  superuser,
  'root',
  'mysql',
  'sys',
  'information_schema',
  'performance_schema',
  'mariadb.sys',
]);

/** `10.11` of `10.11.19`: what of MariaDB is one data format. */
export function seriesOf(declaration: ServiceDeclaration): string {
  return declaration.version.split('.').slice(0, 2).join('.');
}

export function readConfiguration(declaration: ServiceDeclaration): MariadbConfiguration {
  const { configuration, problems } = parse(declaration);
  const [problem] = problems;
  if (!problem) return configuration;
  throw new BoughError({
    code: 'service-configuration',
    message: `Service "${declaration.name}", ${problem.path.join('.')}: ${problem.message}`,
    hint: problem.hint,
  });
}

export function checkConfiguration(declaration: ServiceDeclaration): ConfigurationProblem[] {
  return parse(declaration).problems;
}

function parse(declaration: ServiceDeclaration) {
  const problems: ConfigurationProblem[] = [];
  const report: Report = (path, message, hint) => problems.push({ path, message, hint });
  const given = declaration.configuration;
  if (!isNewEnough(declaration))
    report(
      ['type'],
      `MariaDB ${declaration.version} is not offered.`,
      'Use 10.11 or newer, with both numbers, as in mariadb:10.11.',
    );
  for (const key of Object.keys(given)) {
    if (knownKeys.includes(key)) continue;
    report(
      [key],
      `"${key}" is not a setting of a ${declaration.type} service.`,
      `Known are ${knownKeys.join(', ')}.`,
    );
  }
  const schemas = parseSchemas(given.schemas, report);
  const configuration: MariadbConfiguration = {
    schemas,
    endpoints: parseEndpoints(given.endpoints, schemas, report),
    flags: parseProperties(given.properties, report),
  };
  return { configuration, problems };
}

function isNewEnough(declaration: ServiceDeclaration): boolean {
  const [major = 0, minor] = declaration.version.split('.').map(Number);
  return minor !== undefined && (major > oldest[0] || (major === oldest[0] && minor >= oldest[1]));
}

function parseSchemas(given: unknown, report: Report): string[] {
  if (given === undefined || given === null) return ['main'];
  if (!Array.isArray(given)) {
    report(['schemas'], '"schemas" must be a list of names.', 'Write schemas: [main, stock].');
    return ['main'];
  }
  const names = new Set<string>();
  given.forEach((name: unknown, index) => {
    if (typeof name === 'string' && isName(name)) names.add(name);
    else report(['schemas', index], `${JSON.stringify(name)} cannot be the name of a schema.`, nameHint);
  });
  return names.size > 0 ? [...names] : ['main'];
}

const nameHint = `Use letters, digits, underscores and hyphens, at most 56; ${[...reservedNames].join(', ')} are taken.`;

function isName(name: string): boolean {
  return namePattern.test(name) && !reservedNames.has(name.toLowerCase());
}

function parseEndpoints(
  given: unknown,
  schemas: readonly string[],
  report: Report,
): Record<string, EndpointConfiguration> {
  const all = Object.fromEntries(schemas.map((schema) => [schema, 'admin' as const]));
  const fallback = { [defaultEndpoint]: { defaultSchema: schemas[0] ?? 'main', privileges: all } };
  if (given === undefined || given === null) return fallback;
  if (!isRecord(given)) {
    report(
      ['endpoints'],
      '"endpoints" must be a map.',
      'Write endpoints: { name: { privileges: { main: rw } } }.',
    );
    return fallback;
  }
  const endpoints: Record<string, EndpointConfiguration> = {};
  for (const [name, endpoint] of Object.entries(given)) {
    const taken = !isName(name) && name !== defaultEndpoint;
    if (taken) report(['endpoints', name], `"${name}" cannot be the name of an endpoint.`, nameHint);
    const parsed = parseEndpoint(name, endpoint, schemas, report);
    if (parsed && !taken) endpoints[name] = parsed;
  }
  return endpoints;
}

function parseEndpoint(
  name: string,
  given: unknown,
  schemas: readonly string[],
  report: Report,
): EndpointConfiguration | undefined {
  const path = ['endpoints', name];
  if (!isRecord(given)) {
    report(path, 'An endpoint must be a map.', 'Write { default_schema: main, privileges: { main: rw } }.');
    return undefined;
  }
  for (const key of Object.keys(given)) {
    if (key === 'default_schema' || key === 'privileges') continue;
    report(
      [...path, key],
      `"${key}" is not a setting of an endpoint.`,
      'Known are default_schema, privileges.',
    );
  }
  const privileges = parsePrivileges(path, given.privileges, schemas, report);
  const defaultSchema = given.default_schema ?? Object.keys(privileges)[0] ?? schemas[0];
  if (typeof defaultSchema !== 'string' || !schemas.includes(defaultSchema)) {
    const hint = `Use one of ${schemas.join(', ')}, or add it to schemas.`;
    report([...path, 'default_schema'], `There is no schema ${JSON.stringify(defaultSchema)}.`, hint);
    return undefined;
  }
  return { defaultSchema, privileges };
}

function parsePrivileges(
  path: readonly string[],
  given: unknown,
  schemas: readonly string[],
  report: Report,
): Record<string, Privilege> {
  if (!isRecord(given)) {
    report([...path, 'privileges'], 'An endpoint needs privileges.', 'Write privileges: { main: rw }.');
    return {};
  }
  const privileges: Record<string, Privilege> = {};
  for (const [schema, privilege] of Object.entries(given)) {
    const at = [...path, 'privileges', schema];
    if (!schemas.includes(schema)) {
      report(
        at,
        `There is no schema "${schema}".`,
        `Use one of ${schemas.join(', ')}, or add it to schemas.`,
      );
    } else if (privilege === 'replication' || privilege === 'replication-admin') {
      report(
        at,
        `"${privilege}" cannot be given: Bough's MariaDB writes no binary log.`,
        'Use ro, rw or admin.',
      );
    } else if (privilege !== 'ro' && privilege !== 'rw' && privilege !== 'admin') {
      report(at, `${JSON.stringify(privilege)} is not a privilege.`, 'Use ro, rw or admin.');
    } else privileges[schema] = privilege;
  }
  return privileges;
}
