import { describe, expect, it } from 'vitest';
import { policies } from './policy.ts';
import { redis } from './service.ts';

const declare = (configuration: Record<string, unknown>, type = 'redis') => ({
  name: 'cache',
  type,
  version: '7.0',
  configuration,
});

describe('check', () => {
  it('knows the eight policies and no other', () => {
    for (const policy of policies) expect(redis.check(declare({ maxmemory_policy: policy }))).toEqual([]);
    expect(redis.check(declare({ maxmemory_policy: 'lru' }))).toMatchObject([{ path: ['maxmemory_policy'] }]);
    expect(redis.check(declare({ maxmemory_policy: ['noeviction'] }))).toHaveLength(1);
  });
});

describe('program', () => {
  it('keeps the password out of the script and passes the policy on', () => {
    const declaration = declare({ maxmemory_policy: 'noeviction' });
    const credentials = redis.credentials(declaration);
    const program = redis.program(declaration, credentials, 'preview');
    expect(program.command).toContain('maxmemory-policy noeviction');
    expect(program.command).not.toContain(credentials.password.reveal());
  });

  it('writes to the volume only when it is persistent', () => {
    const commandOf = (type: string) => {
      const declaration = declare({}, type);
      return redis.program(declaration, redis.credentials(declaration), 'production').command;
    };
    expect(commandOf('redis')).not.toContain('/data');
    expect(commandOf('redis-persistent')).toContain('dir /data');
  });
});

it('asks for the toolchain of its family', () => {
  expect(redis.toolchain(declare({}, 'redis-persistent'))).toBe('redis:7.0');
  expect(redis.toolchain(declare({}, 'valkey'))).toBe('valkey:7.0');
  expect(Object.keys(redis.endpoints(declare({}, 'valkey'), redis.credentials(declare({}))))).toEqual([
    'valkey',
  ]);
});
