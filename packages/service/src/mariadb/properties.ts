import { isRecord, type Report } from '../parse-endpoints.ts';

/**
 * Settings that `properties` may have, each with the server's name for it and what its value looks like. A closed list:
 * any other could reach outside the data directory, load code, or undo what keeps a copy harmless.
 */
const properties: Readonly<Record<string, { flag: string; value: RegExp; unit?: string }>> = {
  // The reference platform counts in megabytes in these two.
  max_allowed_packet: { flag: 'max-allowed-packet', value: /^\d{1,3}$/, unit: 'M' },
  max_heap_table_size: { flag: 'max-heap-table-size', value: /^[1-9]\d{0,3}$/, unit: 'M' },
  default_charset: { flag: 'character-set-server', value: /^[a-z0-9_]{1,40}$/ },
  default_collation: { flag: 'collation-server', value: /^[a-z0-9_]{1,60}$/ },
  /** In production alone; a preview's events never run, as its crons do not. */
  event_scheduler: { flag: 'event-scheduler', value: /^(?:ON|OFF)$/ },
  optimizer_switch: { flag: 'optimizer-switch', value: /^[a-z0-9_=,]{1,400}$/ },
  optimizer_use_condition_selectivity: { flag: 'optimizer-use-condition-selectivity', value: /^[1-5]$/ },
  innodb_adaptive_hash_index: { flag: 'innodb-adaptive-hash-index', value: /^[01]$/ },
  innodb_lock_wait_timeout: { flag: 'innodb-lock-wait-timeout', value: /^\d{1,5}$/ },
  lower_case_table_names: { flag: 'lower-case-table-names', value: /^[01]$/ },
  sql_mode: { flag: 'sql-mode', value: /^[A-Z_,]{0,400}$/ },
  table_definition_cache: { flag: 'table-definition-cache', value: /^\d{1,6}$/ },
  table_open_cache: { flag: 'table-open-cache', value: /^\d{1,6}$/ },
  transaction_isolation: { flag: 'transaction-isolation', value: /^[A-Z-]{1,20}$/ },
  wait_timeout: { flag: 'wait-timeout', value: /^\d{1,7}$/ },
};

/** Spelled as on the reference platform; without a meaning on one server that is no cluster. */
const ignored = new Set(['wsrep_sync_wait']);

export function parseProperties(given: unknown, report: Report): Record<string, string> {
  if (given === undefined || given === null) return {};
  if (!isRecord(given)) {
    report(['properties'], '"properties" must be a map.', 'Write properties: { max_allowed_packet: 64 }.');
    return {};
  }
  const flags: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (ignored.has(name)) continue;
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    const text = typeof value === 'boolean' ? String(Number(value)) : String(value);
    if (property === undefined)
      report(
        ['properties', name],
        `"${name}" is not a property that can be set.`,
        `Known are ${Object.keys(properties).join(', ')}.`,
      );
    else if (property.value.test(text)) flags[property.flag] = `${text}${property.unit ?? ''}`;
    else
      report(
        ['properties', name],
        `${JSON.stringify(value)} is not a value of ${name}.`,
        'See the documentation of MariaDB.',
      );
  }
  return flags;
}
