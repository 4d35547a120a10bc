import type pg from 'pg';

/**
 * Answers of reads that nothing can have changed since: a history asks most questions many times, and half of its time is
 * the way to Postgres and back. What is not plainly a function of some tables' rows is asked anew each time: the time,
 * locks, sequences, rows that are locked by reading, and everything inside a transaction, which may be taken back.
 */
export interface RememberedReads {
  /** The answer when the same was asked before and nobody wrote to its tables since; else it is asked and remembered. */
  answer(
    text: string,
    values: readonly unknown[],
    ask: () => Promise<pg.QueryResult>,
  ): Promise<pg.QueryResult>;
  /** Somebody wrote to these, and others can see it. */
  note(tables: readonly string[]): void;
  forget(): void;
}

export function createRememberedReads(): RememberedReads {
  const versions = new Map<string, number>();
  const answers = new Map<string, { readonly result: pg.QueryResult; readonly at: string }>();
  const versionOf = (tables: readonly string[]) => tables.map((table) => versions.get(table) ?? 0).join();
  return {
    async answer(text, values, ask) {
      const tables = tablesRead(text);
      if (tables === undefined) return await ask();
      const at = versionOf(tables);
      const key = `${text} ${JSON.stringify(values)}`;
      const known = answers.get(key);
      if (known?.at === at) return copyOf(known.result);
      const result = await ask();
      answers.set(key, { result, at });
      return copyOf(result);
    },
    note(tables) {
      for (const table of tables) versions.set(table, (versions.get(table) ?? 0) + 1);
    },
    forget: () => answers.clear(),
  };
}

/** Nobody who changes a row that they were given changes what others get. */
function copyOf(result: pg.QueryResult): pg.QueryResult {
  return { ...result, rows: result.rows.map((row: object) => ({ ...row })) };
}

const VOLATILE =
  /\b(now|random|nextval|setval|currval|pg_\w+|hashtext)\s*\(|\bfor (update|share|no key)\b|\bpg_\w+/;
const WRITES = /\b(?:insert into|update|delete from|truncate|merge into)\b/;

const remembered = new Map<string, readonly string[] | undefined>();

/** What a read depends on; undefined where that is not told by the tables that it names. */
function tablesRead(text: string): readonly string[] | undefined {
  if (remembered.has(text)) return remembered.get(text);
  const isPlain = /^\s*(select|with)\b/.test(text) && !VOLATILE.test(text) && !WRITES.test(text);
  const tables = [...text.matchAll(/(?:\bfrom|\bjoin|,)\s+(\w+)/g)].map(([, table]) => String(table));
  const read = isPlain ? [...new Set(tables)] : undefined;
  remembered.set(text, read);
  return read;
}

const written = new Map<string, readonly string[]>();

/** The tables that a statement writes to. No trigger of ours and no foreign key writes to others. */
export function tablesWritten(text: string): readonly string[] {
  const known = written.get(text);
  if (known !== undefined) return known;
  const tables = [...text.matchAll(/\b(?:insert into|update|delete from(?: only)?)\s+(\w+)/g)]
    .map(([, table]) => String(table))
    .filter((table) => table !== 'set' && table !== 'skip');
  const all = [...new Set(tables)];
  written.set(text, all);
  return all;
}
