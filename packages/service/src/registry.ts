import { BoughError } from '@bough/domain/bough-error';
import { mariadb } from './mariadb/service.ts';
import { postgresql } from './postgresql/service.ts';
import { redis } from './redis/service.ts';
import type { Service } from './service.ts';

const services: Readonly<Record<string, Service>> = Object.fromEntries(
  [postgresql, mariadb, redis].flatMap((service) => service.types.map((type) => [type, service])),
);

/** The types that a manifest may name, without versions. */
const serviceTypes: readonly string[] = Object.keys(services);

/** The service behind a manifest's `type`, with or without its version: `postgresql:16`, `redis`. */
export function serviceFor(type: string): Service {
  const name = type.split(':')[0] ?? '';
  const service = Object.hasOwn(services, name) ? services[name] : undefined;
  if (service) return service;
  throw new BoughError({
    code: 'service-unknown',
    message: `There is no service type "${name}".`,
    hint: `Bough runs ${serviceTypes.join(', ')}. Use one of these, or run the program as an app of its own.`,
  });
}
