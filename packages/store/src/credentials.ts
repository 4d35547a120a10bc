import type { Secret } from '@bough/domain/secret';
import { type Database, only } from './database.ts';
import type { Encryption } from './encryption.ts';

/** What Bough made up for one environment: service passwords, preview passwords, keys of its own. */
export interface CredentialName {
  readonly environmentId: string;
  /** Says what for: `service:database`, `access:basic` (`ACCESS_CREDENTIAL`). */
  readonly name: string;
}

/** The credential of that name, made when it is not there yet. Two callers at once get the same one. */
export async function ensureCredential(
  db: Database,
  encryption: Encryption,
  credential: CredentialName,
  make: () => Secret,
): Promise<Secret> {
  const found = await findCredential(db, encryption, credential);
  if (found !== undefined) return found;
  // `do update` with the old value, not `do nothing`: it returns the row also when somebody else was quicker.
  const { rows } = await db.query<{ value: Buffer }>(
    `insert into credentials as c (environment_id, name, value_encrypted) values ($1, $2, $3)
     on conflict (environment_id, name) do update set value_encrypted = c.value_encrypted
     returning value_encrypted as value`,
    [credential.environmentId, credential.name, encryption.encrypt(make(), context(credential))],
  );
  return encryption.decrypt(only(rows).value, context(credential));
}

export async function findCredential(
  db: Database,
  encryption: Encryption,
  credential: CredentialName,
): Promise<Secret | undefined> {
  const { rows } = await db.query<{ value: Buffer }>(
    'select value_encrypted as value from credentials where environment_id = $1 and name = $2',
    [credential.environmentId, credential.name],
  );
  return rows[0] && encryption.decrypt(rows[0].value, context(credential));
}

/** Writes a credential over the one that is there: a clone brings its own, or gets a new one. */
export async function writeCredential(
  db: Database,
  encryption: Encryption,
  credential: CredentialName & { value: Secret },
): Promise<void> {
  await db.query(
    `insert into credentials (environment_id, name, value_encrypted) values ($1, $2, $3)
     on conflict (environment_id, name) do update set value_encrypted = excluded.value_encrypted, created_at = now()`,
    [credential.environmentId, credential.name, encryption.encrypt(credential.value, context(credential))],
  );
}

/** All of an environment's, by name: to give to its workloads, and to filter from its logs. */
export async function readCredentials(
  db: Database,
  encryption: Encryption,
  environmentId: string,
): Promise<Map<string, Secret>> {
  const { rows } = await db.query<{ name: string; value: Buffer }>(
    'select name, value_encrypted as value from credentials where environment_id = $1 order by name',
    [environmentId],
  );
  return new Map(
    rows.map(({ name, value }) => [name, encryption.decrypt(value, context({ environmentId, name }))]),
  );
}

const context = ({ environmentId, name }: CredentialName): string => `credential:${environmentId}:${name}`;
