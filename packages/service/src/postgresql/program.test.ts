import { describe, expect, it } from 'vitest';
import { postgresCredentials } from './endpoints.ts';
import { postgresProgram } from './program.ts';

const declaration = { name: 'database', type: 'postgresql', version: '16', configuration: {} };
const credentials = postgresCredentials(declaration);
const commandOf = (mode: 'production' | 'preview' | 'capture') =>
  postgresProgram(declaration, credentials, mode).command;

describe('postgresProgram', () => {
  it('keeps every byte of production', () => {
    expect(commandOf('production')).not.toMatch(/fsync|synchronous_commit|full_page_writes|archive/);
    expect(postgresProgram(declaration, credentials, 'production').initialise).not.toContain('--no-sync');
  });

  it('lets no copy archive, stream or subscribe', () => {
    for (const mode of ['preview', 'capture'] as const) {
      for (const flag of [
        "archive_mode='off'",
        "archive_command=''",
        "primary_conninfo=''",
        "max_wal_senders='0'",
        "max_logical_replication_workers='0'",
        "session_preload_libraries=''",
      ]) {
        expect(commandOf(mode)).toContain(`-c ${flag}`);
      }
    }
  });

  it('lets a preview be copied while it runs', () => {
    expect(commandOf('preview')).toContain("wal_level='replica'");
    expect(commandOf('preview')).not.toContain('full_page_writes');
  });

  it('loads pg_stat_statements where it is asked for, and nothing else', () => {
    const configuration = { extensions: ['pg_stat_statements', 'pg_cron'] };
    const { command } = postgresProgram({ ...declaration, configuration }, credentials, 'preview');
    expect(command).toContain("shared_preload_libraries='pg_stat_statements'");
    expect(commandOf('production')).toContain("shared_preload_libraries=''");
  });

  it('listens on loopback only and holds no password', () => {
    const { command, initialise } = postgresProgram(declaration, credentials, 'production');
    expect(command).toContain("listen_addresses='127.0.0.1'");
    for (const script of [command, initialise]) expect(script).not.toContain(credentials.password.reveal());
  });
});
