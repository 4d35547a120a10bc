import type { Credentials, ServiceDeclaration, ServiceMode, ServiceProgram } from '../service.ts';
import { defaultPolicy, policyOf } from './policy.ts';

const mebibyte = 1024 * 1024;

export function isPersistent(type: string): boolean {
  return type.split(':')[0]?.endsWith('-persistent') === true;
}

export function redisProgram(
  declaration: ServiceDeclaration,
  credentials: Credentials,
  mode: ServiceMode,
  on?: { readonly hasVolume: boolean },
): ServiceProgram {
  const memoryBytes = (mode === 'production' ? 256 : 64) * mebibyte;
  return {
    command: commandScript(
      serverOf(declaration),
      settingsOf(declaration, { mode, memoryBytes, hasVolume: on?.hasVolume === true }),
    ),
    env: { BOUGH_REDIS_PASSWORD: credentials.password },
    stopSignal: 'SIGTERM',
    stopGraceMs: 30_000,
    // Rewriting the append-only file forks, and a child may touch every page once more.
    limits: { memoryBytes: memoryBytes * 2 + 128 * mebibyte, pids: 64, cpus: 1 },
  };
}

/** A machine may have both, and whoever asks for one of them must not get the other. */
function serverOf(declaration: ServiceDeclaration): string {
  if (declaration.type.startsWith('valkey')) return 'command -v valkey-server';
  return 'command -v redis-server || command -v valkey-server';
}

interface Running {
  readonly mode: ServiceMode;
  readonly memoryBytes: number;
  readonly hasVolume: boolean;
}

function settingsOf(declaration: ServiceDeclaration, { mode, memoryBytes, hasVolume }: Running): string[] {
  const policy = mode === 'capture' ? 'noeviction' : (policyOf(declaration) ?? defaultPolicy);
  return [
    'bind 127.0.0.1',
    'protected-mode yes',
    'daemonize no',
    'logfile ""',
    'save ""',
    'databases 64',
    `maxmemory ${memoryBytes}`,
    `maxmemory-policy ${policy}`,
    ...filesOf(declaration, mode, hasVolume),
  ];
}

function filesOf(declaration: ServiceDeclaration, mode: ServiceMode, hasVolume: boolean): string[] {
  // What it writes is searched byte by byte, so nothing is packed, and only what `seal` wants is written.
  if (mode === 'capture') return ['dir /data', 'appendonly no', 'rdbcompression no'];
  if (isPersistent(declaration.type))
    return ['dir /data', 'appendonly yes', `appendfsync ${mode === 'production' ? 'everysec' : 'no'}`];
  // Read at every start and, as nothing is ever saved, never written.
  return [hasVolume ? 'dir /data' : 'dir /tmp', 'appendonly no'];
}

/** The password goes from the environment into a private file: command lines are for all to see. */
function commandScript(server: string, settings: readonly string[]): string {
  return `set -eu
umask 077
cat > /tmp/redis.conf <<'SETTINGS'
${settings.join('\n')}
SETTINGS
printf 'port %s\\nrequirepass %s\\n' "$PORT" "$BOUGH_REDIS_PASSWORD" >> /tmp/redis.conf
unset BOUGH_REDIS_PASSWORD
server=$(${server})
exec "$server" /tmp/redis.conf
`;
}
