import { createHash, createHmac, randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, realpath, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { type AttestationKeys, newAttestationKey, openAttestationKeys } from '@bough/domain/attestation-key';
import { BoughError } from '@bough/domain/bough-error';
import { Secret } from '@bough/domain/secret';
import { readOrMake } from './private-file.ts';

/** `BOUGH_HOME`: where everything of one installation lies. */
export interface BoughHome {
  readonly path: string;
  /** Also kept in Postgres; when the two disagree, nothing is reaped. */
  readonly installationId: string;
  readonly adminToken: Secret;
  /** 32 bytes, base64. */
  readonly masterKey: Secret;
  /** Keys that a rotation which was cut short has not replaced everywhere yet. */
  readonly formerMasterKeys: readonly Secret[];
  /** Keys artifacts and masks: outlives a rotation of the master key, or all of those would be worthless. */
  readonly signingKey: Secret;
  /** Signs what goldens are; others verify it with the public half. */
  readonly attestationKeys: AttestationKeys;
  readonly directories: Readonly<Record<HomeDirectory, string>>;
}

/** Written by the first rotation of the master key; until then the signing key is derived from that. */
export const SIGNING_KEY_FILE = 'signing-key';
export const FORMER_KEYS_FILE = 'master-key.former';
export const ATTESTATION_KEY_FILE = 'attestation-key';
/** As for the master key: there only while a rotation is not done. */
export const FORMER_ATTESTATION_KEYS_FILE = 'attestation-key.former';

export type HomeDirectory = (typeof directoryNames)[number];

const directoryNames = [
  'artifacts',
  'builds',
  'gateway',
  'logs',
  'mirrors',
  'postgres',
  'redis',
  'run',
  'toolchains',
  'tmp',
  'volumes',
] as const;

export interface HomeOptions {
  readonly path: string;
  /** `BOUGH_ADMIN_TOKEN` and `BOUGH_MASTER_KEY`, when the operator keeps them elsewhere. */
  readonly adminToken?: Secret | undefined;
  readonly masterKey?: Secret | undefined;
}

/** Opens the home directory and makes at the first start what is missing. Nobody but its owner can look into it. */
export async function openHome(options: HomeOptions): Promise<BoughHome> {
  const path = resolve(options.path);
  await makePrivate(path);
  const entries = directoryNames.map((name) => [name, join(path, name)] as const);
  for (const [, directory] of entries) await mkdir(directory, { recursive: true, mode: 0o700 });
  const keyFile = join(path, 'master-key');
  const masterKey = checkedMasterKey(
    options.masterKey ?? new Secret(await readOrMake(keyFile, newMasterKey)),
    options.masterKey ? 'BOUGH_MASTER_KEY' : keyFile,
  );
  return {
    path,
    installationId: await readOrMake(join(path, 'installation-id'), newInstallationId),
    adminToken: options.adminToken ?? new Secret(await readOrMake(join(path, 'admin-token'), newAdminToken)),
    masterKey,
    formerMasterKeys: (await linesOf(join(path, FORMER_KEYS_FILE))).map((line) => new Secret(line)),
    signingKey: await readSigningKey(path, masterKey),
    attestationKeys: await readAttestationKeys(path),
    directories: Object.fromEntries(entries) as Record<HomeDirectory, string>,
  };
}

/** For verbs that look after an installation: with a mistyped `BOUGH_HOME` they would make a new, empty one. */
export async function requireHome(path: string): Promise<void> {
  const made = await stat(join(path, 'installation-id')).catch(() => undefined);
  if (made !== undefined) return;
  throw new BoughError({
    code: 'home-absent',
    message: `There is no Bough in ${resolve(path)}.`,
    hint: 'Set BOUGH_HOME to the directory of the one that you mean. `bough serve` makes it at its first start.',
  });
}

async function makePrivate(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const entry = await stat(path);
  if (entry.uid !== process.getuid?.()) {
    throw new BoughError({
      code: 'home-not-ours',
      message: `${path} belongs to another user (uid ${entry.uid}).`,
      hint: 'Run Bough as that user, or set BOUGH_HOME to a directory of your own.',
    });
  }
  if ((entry.mode & 0o077) !== 0) await chmod(path, 0o700);
}

/** Short, lower case, no look-alikes: it stands in names, labels and markers. */
function newInstallationId(): string {
  const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789';
  const letters = [...randomBytes(64)].filter((byte) => byte < 248).slice(0, 12);
  return letters.map((byte) => alphabet[byte % alphabet.length]).join('');
}

function newAdminToken(): string {
  return `bough_${randomBytes(24).toString('base64url')}`;
}

export function newMasterKey(): string {
  return randomBytes(32).toString('base64');
}

/** Not the master key itself: what signs and what encrypts must not be the same secret. */
async function readSigningKey(path: string, masterKey: Secret): Promise<Secret> {
  const [kept] = await linesOf(join(path, SIGNING_KEY_FILE));
  return new Secret(
    kept ?? createHmac('sha256', masterKey.reveal()).update('bough signing key v1').digest('hex'),
  );
}

async function readAttestationKeys(path: string): Promise<AttestationKeys> {
  const file = join(path, ATTESTATION_KEY_FILE);
  const current = new Secret(await readOrMake(file, newAttestationKey));
  const former = await linesOf(join(path, FORMER_ATTESTATION_KEYS_FILE));
  return openAttestationKeys(
    current,
    former.map((line) => new Secret(line)),
    file,
  );
}

async function linesOf(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').filter((line) => line !== '');
}

function checkedMasterKey(key: Secret, where: string): Secret {
  if (Buffer.from(key.reveal(), 'base64').length === 32) return key;
  throw new BoughError({
    code: 'master-key-malformed',
    message: `The master key in ${where} is not 32 bytes in base64.`,
    hint: 'Restore it from your backup. A new one (`openssl rand -base64 32`) cannot read the secrets stored so far.',
  });
}

/**
 * Takes the home for one `bough serve`: two on one home would each stop the other's database. The claim is a socket in
 * Linux's abstract namespace, which only one process can hold and which the kernel frees however that process ends.
 */
export async function claimHome(path: string): Promise<() => Promise<void>> {
  const name = `\0bough-home-${createHash('sha256')
    .update(await realpath(path))
    .digest('hex')}`;
  // Whoever asks is told who holds it.
  const server = createServer((socket) => socket.on('error', () => {}).end(String(process.pid)));
  const isOurs = await new Promise<boolean>((resolve, reject) => {
    server.once('listening', () => resolve(true));
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(name);
  });
  if (!isOurs) throw alreadyServing(path, await askHolder(name));
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}

function askHolder(name: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(name).setTimeout(1_000, () => socket.destroy());
    let pid = '';
    socket.on('data', (chunk) => {
      pid = `${pid}${chunk}`.slice(0, 20);
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(pid === '' ? 'unknown' : pid));
  });
}

function alreadyServing(path: string, holder: string): BoughError {
  return new BoughError({
    code: 'already-serving',
    message: `Bough already runs on ${path} (process ${holder}).`,
    hint: 'Stop that one first, or set BOUGH_HOME to another directory.',
  });
}
