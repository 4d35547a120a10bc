import type { Environment } from '@bough/domain/environment';
import { Secret } from '@bough/domain/secret';
import { readCredentials as readSealed } from '@bough/store/credentials';
import type { Database } from '@bough/store/database';
import type { Encryption } from '@bough/store/encryption';
import { readVariables } from '@bough/store/variables';
import { readCredentials, secretsOf } from './service-credentials.ts';

/** Everything that was given to an environment and must not show in what its workloads print. */
export async function secretsOfEnvironment(
  db: Database,
  encryption: Encryption,
  { id, projectId, kind }: Pick<Environment, 'id' | 'projectId' | 'kind'>,
): Promise<Secret[]> {
  const variables = await Promise.all(
    (['build', 'run'] as const).map((at) => readVariables(db, encryption, { projectId, at, kind })),
  );
  const sealed = await readSealed(db, encryption, id);
  return [
    ...variables.flat().flatMap(({ secret, value }) => (secret ? [value] : [])),
    ...[...sealed].flatMap(([name, value]) => (name.startsWith('service:') ? ofService(value) : [value])),
  ];
}

function ofService(value: Secret): Secret[] {
  const text = value.reveal();
  return [new Secret(text), ...secretsOf(readCredentials(text))];
}
