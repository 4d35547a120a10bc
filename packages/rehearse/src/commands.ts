import type { LoggedEvent, LoggedStatement, ServerLog } from './server-log.ts';
import { splitCommands } from './statement-text.ts';

/** A stretch of the hook's work that gets a line of its own: a statement, or a command of a text with several. */
export interface Unit {
  readonly pid: number;
  readonly from: number;
  readonly to: number;
  readonly sql: string;
  readonly database: string | null;
  readonly changesSchema: boolean;
  /** Tables that were rewritten, by id. */
  readonly rewrites: readonly number[];
  /** The locks that it took, as the triggers before and after it saw them. Undefined when none stood there. */
  readonly locks: Locks | undefined;
}

type Locks = readonly (readonly [relation: number, mode: string])[];

interface Command extends Unit {
  readonly locks: Locks;
  /** All that its transaction held when it began and when it ended. */
  readonly heldBefore: Locks;
  readonly heldAfter: Locks;
  readonly tag: string;
  readonly objects: readonly string[];
}

/** Clocks of the trigger and of the log's line differ by what it takes to write the line. */
const toleranceMs = 5;

/**
 * The server's log knows texts with their durations, its triggers know the commands that change the schema with their
 * times. A text of one command is that command; a longer one is laid out along its commands. Pure.
 */
export function layOut(log: ServerLog, own: ReadonlySet<number>): Unit[] {
  const commands = pairCommands(log.events.filter(({ pid }) => !own.has(pid)));
  const statements = log.statements.filter(({ pid }) => !own.has(pid));
  const placed = new Set<Command>();
  const units = statements.flatMap((statement) => {
    const inner = commands.filter((command) => isWithin(command, statement));
    for (const command of inner) placed.add(command);
    return unitsOf(statement, inner);
  });
  const short = commands
    .filter((command) => !placed.has(command))
    .map((command) => ({ ...command, sql: nameOf(command) }));
  return [...units, ...short].sort((a, b) => a.from - b.from);
}

function isWithin(command: Command, statement: LoggedStatement): boolean {
  return (
    command.pid === statement.pid &&
    command.from >= statement.from - toleranceMs &&
    command.to <= statement.to + toleranceMs
  );
}

function pairCommands(events: readonly LoggedEvent[]): Command[] {
  const open = new Map<number, { at: number; tag: string; rewrites: number[]; locks: Locks }[]>();
  const commands: Command[] = [];
  for (const event of events) {
    const stack = open.get(event.pid) ?? [];
    open.set(event.pid, stack);
    if (event.kind === 'start')
      stack.push({ at: event.at, tag: event.tag, rewrites: [], locks: event.locks });
    else if (event.kind === 'rewrite') stack.at(-1)?.rewrites.push(event.table);
    else {
      // What failed has no end: it is passed over.
      while (stack.length > 0 && stack.at(-1)?.tag !== event.tag) stack.pop();
      const start = stack.pop();
      const objects = event.objects.filter((object) => object !== null);
      commands.push({
        pid: event.pid,
        from: start?.at ?? event.at,
        to: event.at,
        sql: event.sql ?? '',
        database: event.database,
        changesSchema: objects.length > 0 || event.tag.startsWith('DROP'),
        rewrites: start?.rewrites ?? [],
        locks: without(event.locks, start?.locks ?? []),
        heldBefore: start?.locks ?? event.locks,
        heldAfter: event.locks,
        tag: event.tag,
        objects,
      });
    }
  }
  return commands.sort((a, b) => a.from - b.from);
}

function unitsOf(statement: LoggedStatement, inner: readonly Command[]): Unit[] {
  const { pid, from, to, sql } = statement;
  const [only] = inner;
  const pieces = splitCommands(sql);
  if (only === undefined)
    return [{ pid, from, to, sql, database: null, changesSchema: false, rewrites: [], locks: undefined }];
  if (inner.length === 1 && pieces.length <= 1) return [{ ...only, from, to, sql }];
  const units: Unit[] = [];
  let next = 0;
  let since = from;
  let held: Locks = [];
  const between = (texts: readonly string[], until: number, locks: Locks | undefined) => {
    if (texts.length > 0)
      units.push({
        ...{ pid, from: since, to: until, sql: texts.join('; ') },
        ...{ database: only.database, changesSchema: false, rewrites: [], locks },
      });
  };
  for (const command of inner) {
    const at = pieces.findIndex((piece, index) => index >= next && isOf(piece, command.tag));
    const taken = without(command.heldBefore, held);
    if (at >= 0) between(pieces.slice(next, at), command.from, taken);
    units.push({ ...command, sql: (at >= 0 ? pieces[at] : undefined) ?? nameOf(command) });
    if (at >= 0) next = at + 1;
    since = command.to;
    held = command.heldAfter;
  }
  between(pieces.slice(next), to, undefined);
  return units;
}

function without(locks: Locks, others: Locks): Locks {
  return locks.filter(
    ([relation, mode]) => !others.some((other) => other[0] === relation && other[1] === mode),
  );
}

/** `CREATE INDEX` is the tag of `create unique index`, too. */
function isOf(piece: string, tag: string): boolean {
  const words = piece
    .replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ')
    .trim()
    .toUpperCase()
    .split(/\s+/)
    .slice(0, 6);
  const wanted = tag.split(' ');
  return words[0] === wanted[0] && wanted.every((word) => words.includes(word));
}

function nameOf(command: Command): string {
  if (command.sql !== '' && splitCommands(command.sql).length === 1) return command.sql;
  return `${command.tag} ${command.objects.slice(0, 3).join(', ')}`.trim();
}
