export type Report = (path: (string | number)[], message: string, hint: string) => void;

export type Privilege = 'ro' | 'rw' | 'admin';

export interface ParsedEndpoint {
  /** The database or schema that it leads to. */
  readonly target: string;
  readonly privileges: Readonly<Record<string, Privilege>>;
}

/** What the manifest calls the things that an endpoint leads to, and which of them there are. */
export interface EndpointRules {
  readonly noun: 'database' | 'schema';
  readonly names: readonly string[];
  /** The endpoint where none is declared, with all privileges. */
  readonly fallback: string;
  isName(name: string): boolean;
  readonly nameHint: string;
  /** Why a privilege that exists elsewhere cannot be given here. */
  refuse?(privilege: unknown): string | undefined;
}

/** `endpoints` of a SQL service's configuration. What is wrong is reported and left out. */
export function parseEndpoints(
  given: unknown,
  rules: EndpointRules,
  report: Report,
): Record<string, ParsedEndpoint> {
  const all = Object.fromEntries(rules.names.map((name) => [name, 'admin' as const]));
  const fallback = { [rules.fallback]: { target: rules.names[0] ?? 'main', privileges: all } };
  if (given === undefined || given === null) return fallback;
  if (!isRecord(given)) {
    report(
      ['endpoints'],
      '"endpoints" must be a map.',
      'Write endpoints: { name: { privileges: { main: rw } } }.',
    );
    return fallback;
  }
  const endpoints: Record<string, ParsedEndpoint> = {};
  for (const [name, endpoint] of Object.entries(given)) {
    const isName = rules.isName(name);
    if (!isName) report(['endpoints', name], `"${name}" cannot be the name of an endpoint.`, rules.nameHint);
    const parsed = parseEndpoint(name, endpoint, rules, report);
    if (parsed && isName) endpoints[name] = parsed;
  }
  return endpoints;
}

function parseEndpoint(
  name: string,
  given: unknown,
  rules: EndpointRules,
  report: Report,
): ParsedEndpoint | undefined {
  const path = ['endpoints', name];
  const key = `default_${rules.noun}`;
  if (!isRecord(given)) {
    report(path, 'An endpoint must be a map.', `Write { ${key}: main, privileges: { main: rw } }.`);
    return undefined;
  }
  for (const other of Object.keys(given)) {
    if (other === key || other === 'privileges') continue;
    report([...path, other], `"${other}" is not a setting of an endpoint.`, `Known are ${key}, privileges.`);
  }
  const privileges = parsePrivileges(path, given.privileges, rules, report);
  const target = given[key] ?? Object.keys(privileges)[0] ?? rules.names[0];
  if (typeof target !== 'string' || !rules.names.includes(target)) {
    report([...path, key], `There is no ${rules.noun} ${JSON.stringify(target)}.`, namesHint(rules));
    return undefined;
  }
  return { target, privileges };
}

function parsePrivileges(
  path: readonly string[],
  given: unknown,
  rules: EndpointRules,
  report: Report,
): Record<string, Privilege> {
  if (!isRecord(given)) {
    report([...path, 'privileges'], 'An endpoint needs privileges.', 'Write privileges: { main: rw }.');
    return {};
  }
  const privileges: Record<string, Privilege> = {};
  for (const [name, privilege] of Object.entries(given)) {
    const at = [...path, 'privileges', name];
    const refusal = rules.refuse?.(privilege);
    if (!rules.names.includes(name)) {
      report(at, `There is no ${rules.noun} "${name}".`, namesHint(rules));
    } else if (refusal !== undefined) {
      report(at, refusal, 'Use ro, rw or admin.');
    } else if (privilege !== 'ro' && privilege !== 'rw' && privilege !== 'admin') {
      report(at, `${JSON.stringify(privilege)} is not a privilege.`, 'Use ro, rw or admin.');
    } else privileges[name] = privilege;
  }
  return privileges;
}

function namesHint({ names, noun }: EndpointRules): string {
  return `Use one of ${names.join(', ')}, or add it to ${noun}s.`;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
