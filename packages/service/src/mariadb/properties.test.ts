import { expect, test } from 'vitest';
import { parseProperties } from './properties.ts';

const read = (given: unknown) => {
  const problems: string[] = [];
  const flags = parseProperties(given, (path, message) => problems.push(`${path.join('.')}: ${message}`));
  return { flags, problems };
};

test('every property of the reference platform becomes a flag of the server, sizes in its megabytes', () => {
  const given = {
    max_allowed_packet: 64,
    max_heap_table_size: 32,
    default_charset: 'utf8mb4',
    default_collation: 'utf8mb4_unicode_ci',
    optimizer_switch: 'rowid_filter=off',
    optimizer_use_condition_selectivity: 4,
    innodb_adaptive_hash_index: 0,
    table_definition_cache: 2000,
    table_open_cache: 2000,
    wsrep_sync_wait: 0,
  };
  expect(read(given)).toEqual({
    flags: {
      'max-allowed-packet': '64M',
      'max-heap-table-size': '32M',
      'character-set-server': 'utf8mb4',
      'collation-server': 'utf8mb4_unicode_ci',
      'optimizer-switch': 'rowid_filter=off',
      'optimizer-use-condition-selectivity': '4',
      'innodb-adaptive-hash-index': '0',
      'table-definition-cache': '2000',
      'table-open-cache': '2000',
    },
    problems: [],
  });
});

test('what could load code or reach outside is not a property, and neither is a value with more in it', () => {
  const { flags, problems } = read({ plugin_load: 'evil.so', max_heap_table_size: '32M --init-file=/x' });
  expect(flags).toEqual({});
  expect(problems).toEqual([
    'properties.plugin_load: "plugin_load" is not a property that can be set.',
    'properties.max_heap_table_size: "32M --init-file=/x" is not a value of max_heap_table_size.',
  ]);
});
