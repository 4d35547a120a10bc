import { canonicalDigest } from './canonical-json.ts';
import type { ServiceSource } from './manifest.ts';

type Sources = Readonly<Record<string, ServiceSource>>;

/** Where the data comes from. How it is read is left out: that makes no golden one of another source. */
export function sourcePlaces(sources: Sources): Sources {
  return Object.fromEntries(
    Object.entries(sources).map(([service, source]) => {
      if (source.kind !== 'secret') return [service, source];
      const { kind, name } = source;
      return [service, { kind, name }];
    }),
  );
}

export function sourceDigest(sources: Sources): string {
  return canonicalDigest(sourcePlaces(sources));
}
