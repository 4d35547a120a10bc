import type { Place, Problem } from './manifest.ts';

/** More would not be read by anybody, and a hostile file could make a million. */
const PROBLEMS_MAX = 50;

/** Collects what is wrong, and what is accepted but not as its author may expect, while a manifest is read. */
export interface Report {
  problem(place: Place, message: string, hint: string): void;
  note(place: Place, message: string, hint: string): void;
  readonly problems: readonly Problem[];
  readonly notes: readonly Problem[];
}

export function createReport(): Report {
  const problems: Problem[] = [];
  const notes: Problem[] = [];
  return {
    problems,
    notes,
    problem: (place, message, hint) => add(problems, place, message, hint),
    note: (place, message, hint) => add(notes, place, message, hint),
  };
}

function add(list: Problem[], place: Place, message: string, hint: string): void {
  if (list.length >= PROBLEMS_MAX) return;
  const said = list.some(
    (other) =>
      other.message === message &&
      other.file === place.file &&
      other.line === place.line &&
      other.column === place.column,
  );
  if (!said) list.push({ file: place.file, line: place.line, column: place.column, message, hint });
}
