import { extname } from 'node:path';

/** The smallest valid files of types that programs look into, so that a page with a hundred pictures still has pictures. */
const TINY: Readonly<Record<string, Buffer>> = {
  png: base64('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII='),
  gif: base64('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'),
  webp: base64('UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA'),
  jpg: jpeg(),
  pdf: pdf(),
  svg: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n'),
  html: Buffer.from('<!doctype html><title>placeholder</title>\n'),
  xml: Buffer.from('<?xml version="1.0"?><placeholder/>\n'),
  json: Buffer.from('{}\n'),
  txt: Buffer.from('placeholder\n'),
  /** An archive with nothing in it: the end of central directory alone. */
  zip: Buffer.concat([Buffer.from('PK\x05\x06', 'latin1'), Buffer.alloc(18)]),
};

const ALIASES: Readonly<Record<string, string>> = {
  ...{ jpeg: 'jpg', jfif: 'jpg', htm: 'html', csv: 'txt', tsv: 'txt', md: 'txt', log: 'txt' },
};

/** What a name's ending says, lower case; null: a type of which there is no small file here. */
function placeholderType(path: string): string | null {
  const ending = extname(path).slice(1).toLowerCase();
  const type = ALIASES[ending] ?? ending;
  return Object.hasOwn(TINY, type) ? type : null;
}

/** The first bytes and the whole length of what stands for a file: whatever follows the first bytes is zeros, a hole in the file. */
export function placeholderFor(
  path: string,
  original: { sizeBytes: number; sameSize: boolean },
): { readonly head: Buffer; readonly sizeBytes: number } {
  const type = placeholderType(path);
  const head = (type === null ? undefined : TINY[type]) ?? Buffer.alloc(0);
  if (original.sizeBytes === 0 || (type === null && !original.sameSize))
    return { head: Buffer.alloc(0), sizeBytes: original.sizeBytes };
  if (!original.sameSize) return { head, sizeBytes: head.length };
  // What follows its end does not harm a picture or a PDF; text would become binary, and has no end.
  const fits = head.length <= original.sizeBytes && type !== 'txt';
  return { head: fits ? head : Buffer.alloc(0), sizeBytes: original.sizeBytes };
}

function base64(text: string): Buffer {
  return Buffer.from(text, 'base64');
}

/** One grey pixel, baseline: a quantisation of ones, and Huffman tables with the one code that is needed. */
function jpeg(): Buffer {
  const segment = (marker: number, ...data: number[]) => [0xff, marker, 0, data.length + 2, ...data];
  const huffman = (kind: number) => segment(0xc4, kind, 1, ...Array<number>(15).fill(0), 0);
  return Buffer.from([
    ...[0xff, 0xd8],
    ...segment(0xe0, 0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0),
    ...segment(0xdb, 0, ...Array<number>(64).fill(1)),
    ...segment(0xc0, 8, 0, 1, 0, 1, 1, 1, 0x11, 0),
    ...huffman(0x00),
    ...huffman(0x10),
    ...segment(0xda, 1, 1, 0, 0, 63, 0),
    ...[0x3f, 0xff, 0xd9],
  ]);
}

/** One empty page. */
function pdf(): Buffer {
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>',
  ];
  let text = '%PDF-1.4\n';
  const offsets: number[] = [];
  for (const [index, object] of objects.entries()) {
    offsets.push(text.length);
    text += `${index + 1} 0 obj${object}endobj\n`;
  }
  const at = text.length;
  const table = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  text += `xref\n0 4\n0000000000 65535 f \n${table}trailer<</Size 4/Root 1 0 R>>\nstartxref\n${at}\n%%EOF\n`;
  return Buffer.from(text, 'latin1');
}
