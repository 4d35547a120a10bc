import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { FilesReport } from '@bough/domain/data-report';
import type { Finding } from '../finding.ts';
import type { MaskFiles } from './file-masking.ts';
import type { DecideFile } from './file-rules.ts';
import { placeholderFor } from './placeholder.ts';
import { identityOf } from './survey-files.ts';
import { type FoundFile, walkFiles } from './walk-files.ts';

const AT_ONCE = 16;

interface Seen {
  allowed: number;
  placeholders: number;
  links: number;
  unexpected: number;
}

/**
 * Looks at what came out as if nobody had said how it was made: each file must be one that the rules let through, each placeholder
 * the very one that stands for its original, and there must be as many as were counted.
 */
export async function verifyFiles(
  { mount, source, target, signal }: Pick<MaskFiles, 'mount' | 'source' | 'target' | 'signal'>,
  {
    decide,
    restricted,
    report,
  }: { decide: DecideFile; restricted: ReadonlySet<string>; report: FilesReport },
): Promise<Finding[]> {
  const seen: Seen = { allowed: 0, placeholders: 0, links: 0, unexpected: 0 };
  for await (const batch of walkFiles(target, signal))
    for (let at = 0; at < batch.length; at += AT_ONCE)
      await Promise.all(
        batch.slice(at, at + AT_ONCE).map(async (found) => {
          seen[await classify(found, { source, target, decide, restricted })] += 1;
        }),
      );
  const isRight =
    seen.unexpected === 0 &&
    seen.allowed === report.allowed &&
    seen.placeholders === report.placeholders &&
    seen.links === report.links;
  if (isRight) return [];
  return [
    {
      code: 'counts',
      where: `mounts: ${mount}`,
      message: `What came out is not what the rules say: ${seen.unexpected} files do not belong there, ${seen.allowed} of ${report.allowed} are as they were, ${seen.placeholders} of ${report.placeholders} are placeholders, ${seen.links} of ${report.links} are links.`,
      paste: null,
    },
  ];
}

async function classify(
  { path, kind, stats }: FoundFile,
  of: { source: string; target: string; decide: DecideFile; restricted: ReadonlySet<string> },
): Promise<keyof Seen> {
  const rule = path === null ? undefined : of.decide(path);
  if (path === null || rule === undefined || rule.action === 'drop' || kind === 'special')
    return 'unexpected';
  if (kind === 'link') return 'links';
  const original = await lstat(join(of.source, path), { bigint: true });
  const expected = placeholderFor(path, { sizeBytes: Number(original.size), sameSize: rule.sameSize });
  const isAllowed = rule.action === 'allow' && !of.restricted.has(identityOf({ stats: original }));
  if (isAllowed) return stats.size === original.size ? 'allowed' : 'unexpected';
  const isPlaceholder =
    Number(stats.size) === expected.sizeBytes && (await holdsOnly(join(of.target, path), expected));
  return isPlaceholder ? 'placeholders' : 'unexpected';
}

const CHUNK_BYTES = 256 * 1024;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** The first bytes, and nothing but zeros behind them. */
async function holdsOnly(path: string, { head }: { head: Buffer }): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    let expected = Buffer.concat([head, Buffer.alloc(CHUNK_BYTES - head.length)]);
    for (let at = 0; ; expected = ZEROS) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, at);
      if (bytesRead === 0) return true;
      if (!buffer.subarray(0, bytesRead).equals(expected.subarray(0, bytesRead))) return false;
      // A short read in the middle: what comes next is no more the beginning of a chunk.
      if (at === 0 && bytesRead < head.length) return false;
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}
