import { expect, it } from 'vitest';
import { serviceFor } from './registry.ts';

it('finds a service by its type, with or without a version', () => {
  expect(serviceFor('postgresql:16').types).toContain('postgresql');
  expect(serviceFor('redis-persistent').persistent('redis-persistent')).toBe(true);
  expect(serviceFor('redis').persistent('redis')).toBe(false);
});

it('names what there is when it does not know a type', () => {
  for (const type of ['mongodb:7', 'constructor', '__proto__', '']) {
    expect(() => serviceFor(type)).toThrow(expect.objectContaining({ code: 'service-unknown' }));
  }
  expect(() => serviceFor('mongodb:7')).toThrow('There is no service type "mongodb".');
});
