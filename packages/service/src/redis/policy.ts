import type { ServiceDeclaration } from '../service.ts';

export const policies = [
  'allkeys-lru',
  'allkeys-lfu',
  'allkeys-random',
  'volatile-lru',
  'volatile-lfu',
  'volatile-random',
  'volatile-ttl',
  'noeviction',
] as const;

export type Policy = (typeof policies)[number];

export const defaultPolicy: Policy = 'allkeys-lru';

/** What Redis does when memory is full; undefined when the manifest asks for something that Redis does not know. */
export function policyOf(declaration: ServiceDeclaration): Policy | undefined {
  const given = declaration.configuration.maxmemory_policy ?? defaultPolicy;
  return policies.find((policy) => policy === given);
}
