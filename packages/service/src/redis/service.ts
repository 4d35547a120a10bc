import { randomSecret } from '../random-secret.ts';
import type { ConfigurationProblem, Service, ServiceDeclaration } from '../service.ts';
import { defaultPolicy, policies, policyOf } from './policy.ts';
import { isPersistent, redisProgram } from './program.ts';
import { redisReady } from './ready.ts';
import { sealRedis } from './seal.ts';

export const redis: Service = {
  types: ['redis', 'redis-persistent', 'valkey', 'valkey-persistent'],
  persistent: isPersistent,
  check,
  toolchain: (declaration) => `${familyOf(declaration)}:${declaration.version}`,
  credentials: () => ({ username: 'default', password: randomSecret(), endpoints: {} }),
  program: redisProgram,
  ready: redisReady,
  provision: async () => {},
  keyed: { seal: sealRedis },
  endpoints: (declaration, credentials) => ({
    [familyOf(declaration)]: {
      scheme: 'redis',
      urlScheme: 'redis',
      // Empty, not `default`: clients older than Redis 6 send a user name as a second argument that servers refuse.
      username: '',
      password: credentials.password,
      path: '',
      query: { is_master: true },
    },
  }),
};

function familyOf(declaration: ServiceDeclaration): 'redis' | 'valkey' {
  return declaration.type.startsWith('valkey') ? 'valkey' : 'redis';
}

function check(declaration: ServiceDeclaration): ConfigurationProblem[] {
  const problems: ConfigurationProblem[] = [];
  for (const key of Object.keys(declaration.configuration)) {
    if (key === 'maxmemory_policy') continue;
    const message = `"${key}" is not a setting of a ${declaration.type} service.`;
    problems.push({ path: [key], message, hint: 'The only one is maxmemory_policy.' });
  }
  if (policyOf(declaration) === undefined) {
    problems.push({
      path: ['maxmemory_policy'],
      message: `${JSON.stringify(declaration.configuration.maxmemory_policy)} is not a policy of Redis.`,
      hint: `Use one of ${policies.join(', ')} (without it: ${defaultPolicy}).`,
    });
  }
  return problems;
}
