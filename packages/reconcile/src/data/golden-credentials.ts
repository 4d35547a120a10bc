import type { Credentials } from '@bough/service/service';
import type { Encryption } from '@bough/store/encryption';
import type { SnapshotRow } from '@bough/store/snapshots';
import { z } from 'zod';
import { readCredentials } from '../service-credentials.ts';

const StoredCredentials = z.record(z.string(), z.string());

/** The passwords that a golden's files carry: every clone replaces them before anything else happens. */
export function goldenCredentials(encryption: Encryption, row: SnapshotRow): Record<string, Credentials> {
  if (row.credentialsEncrypted === null) return {};
  const text = encryption.decrypt(row.credentialsEncrypted, `snapshot:${row.id}`).reveal();
  const stored = StoredCredentials.parse(JSON.parse(text));
  return Object.fromEntries(Object.entries(stored).map(([name, sealed]) => [name, readCredentials(sealed)]));
}
