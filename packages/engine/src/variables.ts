import { Secret } from '@bough/domain/secret';
import type { EnvironmentVariables, WorkloadSpec } from './engine.ts';

export function reveal(env: EnvironmentVariables): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value instanceof Secret ? value.reveal() : value]),
  );
}

export function secretsOf(env: EnvironmentVariables): Secret[] {
  return Object.values(env).filter((value) => value instanceof Secret);
}

/** A text that is equal for equal specs. It holds the secrets: digest it, never store it. */
export function canonicalSpec(spec: WorkloadSpec): string {
  return canonical({ ...spec, env: reveal(spec.env) });
}

/** JSON with the keys of objects in order; lists keep theirs. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  const fields = entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
  return `{${fields.join(',')}}`;
}
