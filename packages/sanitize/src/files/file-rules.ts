import { extname } from 'node:path';
import { compilePathGlob } from '@bough/domain/path-globs';
import type { FileRule } from '@bough/manifest/sanitize-policy';

/** What becomes of a file; undefined: no rule says. */
export type DecideFile = (path: string) => FileRule | undefined;

/** The first rule that matches counts. */
export function compileFileRules(rules: readonly FileRule[]): DecideFile {
  const compiled = rules.map((rule) => ({ rule, globs: rule.globs.map(compilePathGlob) }));
  return (path) => compiled.find(({ globs }) => globs.some((matches) => matches(path)))?.rule;
}

/** Endings that say what a file is and nothing about anybody. Others are never repeated: `.smith` may be a person. */
const SPOKEN = new Set(
  `7z avi bmp bz2 css csv doc docx eml gif gz heic htm html ico ics jpeg jpg js json log md mov mp3 mp4 odp ods odt ogg otf pdf
   png ppt pptx rar rtf sql svg tar tgz tif tiff tsv ttf txt vcf wav webm webp woff woff2 xls xlsx xml yaml yml zip`.split(
    /\s+/,
  ),
);

/** `*.pdf` of any directory for what may be said of a name, undefined for what may not. */
export function spokenGlob(path: string): string | undefined {
  const ending = extname(path);
  return SPOKEN.has(ending.slice(1).toLowerCase()) ? `**/*${ending}` : undefined;
}
