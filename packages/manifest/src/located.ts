import type { Place } from './manifest.ts';

/** YAML with aliases and merge keys resolved, in which every value still knows where it was written. */
export type Located = LocatedScalar | LocatedList | LocatedMap | LocatedInclude;

export interface LocatedScalar {
  readonly kind: 'scalar';
  readonly place: Place;
  readonly value: string | number | boolean | null;
  /** As written: `1.10`, where `value` is 1.1. */
  readonly source: string;
}

export interface LocatedList {
  readonly kind: 'list';
  readonly place: Place;
  readonly items: readonly Located[];
}

export interface LocatedMap {
  readonly kind: 'map';
  readonly place: Place;
  readonly entries: readonly LocatedEntry[];
}

export interface LocatedEntry {
  readonly key: string;
  readonly keyPlace: Place;
  readonly value: Located;
}

/** `!include`, not resolved yet: what its path is relative to depends on where it stands. */
export interface LocatedInclude {
  readonly kind: 'include';
  readonly place: Place;
  readonly as: 'yaml' | 'string' | 'binary';
  readonly path: string;
}

/** What a value is, in the words of messages. */
export function described(node: Located): string {
  switch (node.kind) {
    case 'map':
      return 'a map';
    case 'list':
      return 'a list';
    case 'include':
      return 'an !include';
    case 'scalar':
      if (node.value === null) return 'empty';
      if (typeof node.value === 'string') return 'text';
      return typeof node.value === 'number' ? 'a number' : 'true or false';
  }
}

export function isEmpty(node: Located | undefined): boolean {
  return node === undefined || (node.kind === 'scalar' && node.value === null);
}

/** The plain value, for parts that are handed on as they are. */
export function plain(node: Located): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(plain);
    case 'map':
      // Defined, not assigned: `__proto__` is an ordinary key here.
      return Object.fromEntries(node.entries.map((entry) => [entry.key, plain(entry.value)]));
    case 'include':
      return null;
  }
}
