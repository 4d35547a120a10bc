import type { Node, Pair, Scalar, YAMLMap } from 'yaml';
import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Located, LocatedEntry, LocatedInclude } from './located.ts';
import type { Place } from './manifest.ts';
import { tooDeepAt } from './nesting.ts';
import type { Report } from './report.ts';

/** The platform's bound for a routes document; ample for any manifest. */
const FILE_BYTES_MAX = 128 * 1024;
/** Aliases of aliases grow exponentially; this is where that ends. */
const NODES_MAX = 20_000;

/**
 * Parses one file; `empty` when there is nothing in it, `broken` when it is not YAML (reported). Only the first syntax
 * error of a file is reported, because the others are mostly its echoes; tabs are reported one by one.
 */
export function parseYaml(report: Report, file: string, text: string): Located | 'empty' | 'broken' {
  const start: Place = { file, line: 1, column: 1 };
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) {
    report.problem(
      start,
      `${file} is larger than 128 KB.`,
      'Split it, or move scripts into files of their own.',
    );
    return 'broken';
  }
  const deepLine = tooDeepAt(text);
  if (deepLine !== undefined) {
    report.problem({ file, line: deepLine, column: 1 }, 'This is nested too deeply.', 'Flatten it.');
    return 'broken';
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: 'error',
  });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const [error] = document.errors;
  if (error !== undefined) {
    reportSyntax(report, text, error.code, error.message, placeAt(Math.min(error.pos[0], text.length)));
    return 'broken';
  }
  if (document.contents === null) return 'empty';
  const located = locate(report, document.contents as Node, placeAt, start);
  if (located === undefined) return 'broken';
  return located.kind === 'scalar' && located.value === null ? 'empty' : located;
}

const syntaxAdvice: Readonly<Record<string, { message: string; hint: string }>> = {
  BAD_INDENT: {
    message: 'The indentation does not fit the lines above.',
    hint: 'Keys of one map start at the same column; what belongs to a key is indented further than the key.',
  },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'There is a second ": " on this line.',
    hint: 'Put the value in quotes, or start the inner map on a line of its own.',
  },
  MULTILINE_IMPLICIT_KEY: {
    message: 'A key without a colon.',
    hint: 'Write "key:" or "key: value"; text over several lines needs "|" after the colon.',
  },
  BAD_SCALAR_START: {
    message: 'A value cannot begin with this character.',
    hint: 'Put the value in quotes.',
  },
  MISSING_CHAR: {
    message: 'Something that was opened is not closed before the file ends.',
    hint: 'Look for a quote, bracket or brace without its partner.',
  },
  MULTIPLE_DOCS: {
    message: 'A second document starts here (---).',
    hint: 'One file holds one document: put the other into a file of its own.',
  },
};

function reportSyntax(report: Report, text: string, code: string, message: string, place: Place): void {
  const tabs = tabPlaces(text, place.file).filter(
    (tab) => tab.line === place.line || code === 'TAB_AS_INDENT',
  );
  for (const tab of tabs.slice(0, 10)) {
    report.problem(
      tab,
      'A tab is used for indentation; YAML wants spaces.',
      'Replace the tab with spaces, as many as the neighbouring lines have.',
    );
  }
  if (tabs.length > 0) return;
  const advice = syntaxAdvice[code];
  report.problem(
    place,
    advice?.message ?? `This is not YAML: ${message}.`,
    advice?.hint ??
      'Compare the line with those around it; an editor with YAML support shows where it goes wrong.',
  );
}

function tabPlaces(text: string, file: string): Place[] {
  return text.split('\n').flatMap((line, index) => {
    const column = /^ *\t/.exec(line)?.[0].length;
    return column === undefined || line.trim() === '' ? [] : [{ file, line: index + 1, column }];
  });
}

/** Undefined when a bound or a circle was hit (reported). */
function locate(
  report: Report,
  root: Node,
  placeAt: (offset: number) => Place,
  start: Place,
): Located | undefined {
  const anchors = new Map<string, Node>();
  const open = new Set<Node>();
  let nodes = 0;
  let failed = false;

  function fail(place: Place, message: string, hint: string): Located {
    if (!failed) report.problem(place, message, hint);
    failed = true;
    return { kind: 'scalar', place, value: null, source: '' };
  }

  function placeOf(node: Node, fallback: Place): Place {
    return node.range ? placeAt(node.range[0]) : fallback;
  }

  function walk(node: Node | null, fallback: Place): Located {
    if (node === null) return { kind: 'scalar', place: fallback, value: null, source: '' };
    const place = placeOf(node, fallback);
    nodes += 1;
    if (failed || nodes > NODES_MAX) {
      return fail(
        place,
        'The file grows too large once its aliases are expanded.',
        'Use fewer aliases of aliases.',
      );
    }
    if (isAlias(node)) return walkAlias(node.source, place);
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
    if (node.tag === '!include') return included(node, place);
    if (isScalar(node)) return scalar(node, place);
    open.add(node);
    const located: Located = isSeq(node)
      ? { kind: 'list', place, items: node.items.map((item) => walk(itemNode(item), place)) }
      : { kind: 'map', place, entries: isMap(node) ? walkEntries(node, place) : [] };
    open.delete(node);
    return located;
  }

  function walkAlias(name: string, place: Place): Located {
    const target = anchors.get(name);
    if (target === undefined) {
      return fail(place, `There is no anchor "&${name}" above this alias.`, `Define it first: "&${name}".`);
    }
    if (open.has(target)) return fail(place, `The alias "*${name}" contains itself.`, 'Break the circle.');
    return walk(target, place);
  }

  function walkEntries(map: YAMLMap, place: Place): LocatedEntry[] {
    const own = new Map<string, LocatedEntry>();
    const merged = new Map<string, LocatedEntry>();
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const keyPlace = placeOf(pair.key, place);
      if (!isScalar(pair.key)) {
        fail(keyPlace, 'A key must be a word.', 'Put the key in quotes if it has brackets or braces.');
        continue;
      }
      const value = walk(pair.value, keyPlace);
      if (isMergeKey(pair.key)) {
        for (const entry of mergedEntries(value)) if (!merged.has(entry.key)) merged.set(entry.key, entry);
        continue;
      }
      const key = keyText(pair.key);
      const earlier = own.get(key);
      if (earlier !== undefined) {
        report.problem(
          keyPlace,
          `"${key}" is written twice in the same map; the first is at ${where(earlier.keyPlace)}.`,
          'Keep one of them, or join them.',
        );
      } else own.set(key, { key, keyPlace, value });
    }
    for (const [key, entry] of merged) if (!own.has(key)) own.set(key, entry);
    return [...own.values()];
  }

  function mergedEntries(value: Located): readonly LocatedEntry[] {
    if (value.kind === 'map') return value.entries;
    if (value.kind === 'list') return value.items.flatMap((item) => mergedEntries(item));
    fail(value.place, 'Only a map can be merged with "<<".', 'Write "<<: *name" with an anchor on a map.');
    return [];
  }

  function included(node: Node, place: Place): Located {
    const include = readInclude(node, place);
    return (
      include ??
      fail(
        place,
        'This !include is not understood.',
        'Write !include "file.yaml", or type (string, yaml, binary) and path.',
      )
    );
  }

  const located = walk(root, start);
  return failed ? undefined : located;
}

function readInclude(node: Node, place: Place): LocatedInclude | undefined {
  if (isScalar(node) && typeof node.value === 'string') {
    return { kind: 'include', place, as: 'yaml', path: node.value };
  }
  if (!isMap(node)) return undefined;
  const path = node.get('path');
  const as = node.get('type') ?? 'yaml';
  if (typeof path !== 'string' || (as !== 'yaml' && as !== 'string' && as !== 'binary')) return undefined;
  return { kind: 'include', place, as, path };
}

function scalar(node: Scalar, place: Place): Located {
  const value = node.value;
  const source = node.source ?? String(value);
  if (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'boolean'
  ) {
    return { kind: 'scalar', place, value, source };
  }
  return { kind: 'scalar', place, value: source, source };
}

function itemNode(item: unknown): Node | null {
  return isPair(item) ? null : ((item ?? null) as Node | null);
}

function isMergeKey(key: Scalar): boolean {
  return key.value === '<<' && (key.type === undefined || key.type === 'PLAIN');
}

function keyText(key: Scalar): string {
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}

export function where(place: Place): string {
  return `${place.file}:${place.line}:${place.column}`;
}
